/** A small square copy of the picture as it is first shown, for the list. */

import { type Answer, bytes } from "../api";

export async function thumbnail(answer: Answer, side: number): Promise<HTMLCanvasElement> {
  const picture = await createImageBitmap(bytes(answer.picture.png));
  const small = document.createElement("canvas");
  small.width = small.height = side;
  const spacing = answer.image.spacing?.slice(-2);
  const aspect = spacing ? spacing[0]! / spacing[1]! : 1;
  const tall = picture.height * aspect;
  const scale = Math.max(side / picture.width, side / tall);
  const [width, height] = [picture.width * scale, tall * scale];
  const context = small.getContext("2d")!;
  context.imageSmoothingQuality = "high";
  context.drawImage(picture, (side - width) / 2, (side - height) / 2, width, height);
  picture.close();
  return small;
}
