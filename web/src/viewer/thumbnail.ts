/** A small square copy of the picture as it is first shown, for the list. */

import { type Answer, bytes } from "../api";
import { decodeOverlay, paintOverlay } from "./overlay";

export async function thumbnail(answer: Answer, side: number): Promise<HTMLCanvasElement> {
  const picture = await createImageBitmap(bytes(answer.picture.png));
  const small = document.createElement("canvas");
  small.width = small.height = side;
  const spacing = (answer.picture.spacing ?? answer.image.spacing)?.slice(-2);
  const aspect = spacing ? spacing[0]! / spacing[1]! : 1;
  const tall = picture.height * aspect;
  const scale = Math.max(side / picture.width, side / tall);
  const [width, height] = [picture.width * scale, tall * scale];
  const context = small.getContext("2d")!;
  context.imageSmoothingQuality = "high";
  const box = { x: (side - width) / 2, y: (side - height) / 2, width, height };
  context.drawImage(picture, box.x, box.y, width, height);
  picture.close();
  if (answer.mask) {
    const above = new OffscreenCanvas(side, side);
    const target = new ImageData(side, side);
    paintOverlay(await decodeOverlay(answer.mask), box, 0.5, new Set(), target);
    above.getContext("2d")!.putImageData(target, 0, 0);
    context.drawImage(above, 0, 0);
  }
  return small;
}
