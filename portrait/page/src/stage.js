// What is looked at: heads from any side, or through the clip's camera over or beside its picture; one canvas each.
import {
  DirectionalLight, HemisphereLight, LightProbe, LinearToneMapping, NeutralToneMapping,
  PerspectiveCamera, Scene, Vector3, WebGLRenderer,
} from "three";
import { OrbitControls } from "three/addons/controls/OrbitControls.js";
import { Window } from "./window.js";

const FOV = 24; // degrees, of the free view
// three.js multiplies its probe's coefficients by these; ours (docs/conventions.md) by the harmonics' own constants
const OURS = [0.28209479, 0.48860251, 0.48860251, 0.48860251, 1.09254843, 1.09254843, 0.31539157, 1.09254843, 0.54627422];
const THEIRS = [0.886227, 1.023328, 1.023328, 1.023328, 0.858086, 0.858086, 0.247708, 0.858086, 0.429043];

export class Stage {
  constructor(element, { size, drawPicture, redraw }) {
    this.element = element;
    this.size = size; // of the clip's frames, or null
    this.drawPicture = drawPicture; // (context, rectangle, source) of the frame that is shown
    this.back = element.querySelector(".picture");
    this.front = element.querySelector(".heads");
    this.renderer = new WebGLRenderer({ canvas: this.front, antialias: true, alpha: true });
    this.renderer.setClearColor(0, 0);
    this.renderer.autoClear = false;
    this.scene = new Scene();
    this.studio = studio(this.scene);
    this.probe = new LightProbe();
    this.scene.add(this.probe);
    this.heads = [];
    this.mode = "free"; // free, over, beside
    this.studioLight = false; // through the clip's camera too, where the clip's own light is usual
    this.still = false; // the head held still in the free view
    this.strength = 0.85; // of the head over the picture
    this.fitted = new PerspectiveCamera(30, 1, 20, 20000);
    this.camera = new PerspectiveCamera(FOV, 1, 20, 20000);
    this.controls = new OrbitControls(this.camera, this.front);
    Object.assign(this.controls, { enableDamping: false, minDistance: 120, maxDistance: 4000, rotateSpeed: 0.9 });
    this.controls.addEventListener("change", redraw);
    this.controls.addEventListener("start", () => (this.turned = true));
    this.window = new Window(this.front, size, () => this.mode !== "free", redraw);
    new ResizeObserver(() => { this.resize(); redraw(); }).observe(element);
    this.resize();
  }

  add(head) {
    this.heads.push(head);
    this.scene.add(head.group);
    if (this.heads.length === 1) this.frameHead();
  }

  /** The free view from the front, with the whole head in it. */
  frameHead() {
    this.turned = false;
    const { center, radius } = this.heads[0].bounds;
    this.controls.target.copy(center);
    const far = (radius * 1.0) / Math.sin((FOV * Math.PI) / 360) / Math.min(1, this.paneAspect());
    this.camera.position.copy(center).add(new Vector3(0.16, 0.06, 1).setLength(far));
    this.controls.update();
  }

  resize() {
    const { clientWidth: w, clientHeight: h } = this.element;
    const ratio = Math.min(window.devicePixelRatio || 1, 2);
    this.width = w;
    this.height = h;
    this.renderer.setPixelRatio(ratio);
    this.renderer.setSize(w, h, false);
    this.back.width = w * ratio;
    this.back.height = h * ratio;
    this.fit();
  }

  /** The same where panes have another shape, unless somebody turned it. */
  fit() {
    if (this.heads.length && !this.turned) this.frameHead();
  }

  paneAspect() {
    const [first] = this.panes();
    return first.width / first.height || 1;
  }

  /** What is drawn where: {head, picture, x, y, width, height}; side by side, or one above the other where it's high. */
  panes() {
    const kinds = this.shown?.map((head) => ({ head, picture: this.mode === "over" })) ?? [{ head: 0, picture: this.mode === "over" }];
    if (this.mode === "beside") kinds.unshift({ head: -1, picture: true });
    const across = this.width >= this.height * 0.8;
    const width = across ? this.width / kinds.length : this.width, height = across ? this.height : this.height / kinds.length;
    return kinds.map((kind, k) => ({ ...kind, x: across ? k * width : 0, y: across ? 0 : k * height, width, height }));
  }

  render(states, illumination) {
    const fitted = this.mode !== "free", panes = this.panes();
    const context = this.back.getContext("2d"), ratio = this.renderer.getPixelRatio();
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, this.width, this.height);
    this.controls.enabled = !fitted;
    this.renderer.setScissorTest(false);
    this.renderer.clear();
    this.renderer.setScissorTest(true);
    this.front.style.opacity = this.mode === "over" ? this.strength : 1;
    for (const pane of panes) {
      const { x, y, width, height, head } = pane;
      const seen = fitted ? this.window.rectangle(width, height) : null;
      if (pane.picture && fitted) this.drawPicture(context, pane, seen);
      if (head < 0) continue;
      this.setLight(fitted && !this.studioLight ? illumination[head] : null);
      this.place(head, states[head], fitted);
      const camera = fitted ? this.lookAsClip(states[head], seen) : this.lookFreely(width / height);
      this.heads.forEach((h, k) => (h.group.visible = k === head));
      const bottom = this.height - y - height;
      this.renderer.setViewport(x, bottom, width, height);
      this.renderer.setScissor(x, bottom, width, height);
      this.renderer.render(this.scene, camera);
    }
    return panes;
  }

  place(k, { rotation: r, translation: t }, fitted) {
    const head = this.heads[k], free = !fitted && this.still;
    const m = free ? [1, 0, 0, 0, 1, 0, 0, 0, 1] : r, p = fitted ? [t[0], -t[1], -t[2]] : [0, 0, 0];
    head.group.matrix.set(m[0], m[1], m[2], p[0], m[3], m[4], m[5], p[1], m[6], m[7], m[8], p[2], 0, 0, 0, 1);
    head.group.matrixWorldNeedsUpdate = true;
  }

  lookAsClip({ focal }, seen) {
    const { width, height } = this.size, camera = this.fitted;
    camera.fov = (2 * Math.atan(height / 2 / (focal ?? this.size.focal)) * 180) / Math.PI;
    camera.aspect = width / height;
    camera.setViewOffset(width, height, seen.x, seen.y, seen.width, seen.height);
    return camera;
  }

  lookFreely(aspect) {
    this.camera.aspect = aspect;
    this.camera.updateProjectionMatrix();
    return this.camera;
  }

  setLight(illumination) {
    this.studio.forEach((light) => (light.visible = !illumination));
    this.probe.visible = Boolean(illumination);
    this.renderer.toneMapping = illumination ? LinearToneMapping : NeutralToneMapping;
    this.renderer.toneMappingExposure = illumination ? 1 : 1.5;
    if (!illumination) return;
    this.probe.sh.coefficients.forEach((c, k) =>
      c.fromArray(illumination, 3 * k).multiplyScalar((Math.PI * OURS[k]) / THEIRS[k]));
    // three.js has 0.743125 z^2 - 0.247708 in one, which is 0.247708 (3 z^2 - 1)
  }
}

function studio(scene) {
  const at = (light, ...place) => (light.position.set(...place), light);
  const lights = [
    new HemisphereLight(0xeaf0fa, 0x6e5c52, 1.05),
    at(new DirectionalLight(0xfff6ec, 2.2), -0.9, 0.8, 1.0), // key, from the viewer's left and above
    at(new DirectionalLight(0xd6e3ff, 0.8), 1.2, 0.0, 0.8), // fill
    at(new DirectionalLight(0xdfe9ff, 0.9), 1.1, 0.5, -1.0), // rim
    at(new DirectionalLight(0xffe9d6, 0.5), -1.2, 0.2, -0.9),
  ];
  scene.add(...lights);
  return lights;
}
