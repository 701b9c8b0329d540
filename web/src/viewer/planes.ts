/** NiiVue with what this page does otherwise: keys, drops, and where its letters come from. */

import { DRAG_MODE, Niivue } from "@niivue/niivue";

import letters from "../../node_modules/@niivue/niivue/src/fonts/Roboto-Regular.png";

const BEHIND = 0.1; // of the volume behind its mask

export class Planes extends Niivue {
  constructor() {
    super({
      // Its default shows the patient's left on the left, as no radiologist reads.
      isRadiologicalConvention: true,
      sagittalNoseLeft: true,
      isColorbar: false,
      showLegend: false,
      meshThicknessOn2D: 0,
      dragAndDropEnabled: false,
      multiplanarPadPixels: 4,
      tileMargin: 0,
      crosshairWidthUnit: "mm",
      smoothDrawing: 1,
      crosshairColor: [0.35, 1, 0.45, 0.8], // none of the colours of labels
      fontColor: [0.76, 0.81, 0.85, 1],
      fontMinPx: 13,
      fontSizeScaling: 0.15,
      backColor: [0, 0, 0, 1],
      loadingText: "",
      logLevel: "error",
      dragMode: DRAG_MODE.windowing,
    });
  }

  /** From a file of our own: its data address would need a wider security policy. */
  override loadFontTexture(): Promise<WebGLTexture | null> {
    return super.loadFontTexture(letters);
  }

  /** Only meshes need it. */
  override loadDefaultMatCap(): Promise<WebGLTexture | null> {
    return Promise.resolve(null);
  }

  /** In space the mask alone, solid, whatever its opacity in the planes; without it, the volume. */
  override drawImage3D(...view: Parameters<Niivue["drawImage3D"]>): void {
    const opacity = this.drawOpacity;
    const shader = this.renderShader;
    if (shader) {
      this.drawOpacity = opacity > 0 ? 1 : 0;
      shader.use(this.gl);
      this.gl.uniform1f(shader.uniforms.backOpacity!, opacity > 0 ? BEHIND : 1);
    }
    super.drawImage3D(...view);
    this.drawOpacity = opacity;
  }

  // The page has its own keys, takes drops anywhere, and resets by its own button.
  override keyDownListener(): void {}
  override keyUpListener(): void {}
  override dragEnterListener(): void {}
  override dragOverListener(): void {}
  override async dropListener(): Promise<void> {}
  override resetBriCon(): void {}
}
