// What others make of a .glb, as JSON on stdout: gltf-validator's report, and vertices as three.js plays them.
//
//     node benchmarks/gltf.mjs NODE_MODULES FILE.glb [SECONDS...]
//
// vertices: for each time, the metres of the mesh "face" in the scene, flat: morphed, then skinned.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { pathToFileURL } from "node:url";

const [modules, file, ...times] = process.argv.slice(2);
const data = readFileSync(file);
const found = {};

const validator = createRequire(path.join(path.resolve(modules), "x.js"))("gltf-validator");
const report = await validator.validateBytes(new Uint8Array(data));
found.issues = report.issues;
found.validator = validator.version();

if (times.length) {
  globalThis.self = globalThis;
  const at = (name) => import(pathToFileURL(path.join(path.resolve(modules), "three", name)));
  const THREE = await at("build/three.module.js");
  const { GLTFLoader } = await at("examples/jsm/loaders/GLTFLoader.js");
  const buffer = data.buffer.slice(data.byteOffset, data.byteOffset + data.byteLength);
  const gltf = await new GLTFLoader().parseAsync(buffer, "");
  const mixer = new THREE.AnimationMixer(gltf.scene);
  mixer.clipAction(gltf.animations[0]).setLoop(THREE.LoopOnce).play().clampWhenFinished = true;
  const mesh = gltf.scene.getObjectByName("face");
  const point = new THREE.Vector3();
  found.three = THREE.REVISION;
  found.names = Object.keys(mesh.morphTargetDictionary ?? {});
  found.vertices = times.map((time) => {
    mixer.setTime(Number(time));
    gltf.scene.updateMatrixWorld(true);
    const flat = [];
    for (let k = 0; k < mesh.geometry.attributes.position.count; k++) {
      mesh.getVertexPosition(k, point);
      point.applyMatrix4(mesh.matrixWorld);
      flat.push(point.x, point.y, point.z);
    }
    return flat;
  });
}
process.stdout.write(JSON.stringify(found));
