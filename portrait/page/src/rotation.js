// Rotations as the project has them (docs/conventions.md): row-major 3 x 3 arrays, radians.

export const IDENTITY = [1, 0, 0, 0, 1, 0, 0, 0, 1];

export function multiply(a, b) {
  const out = new Array(9);
  for (let r = 0; r < 3; r++)
    for (let c = 0; c < 3; c++) out[3 * r + c] = a[3 * r] * b[c] + a[3 * r + 1] * b[3 + c] + a[3 * r + 2] * b[6 + c];
  return out;
}

export function turn(m, x, y, z) {
  return [m[0] * x + m[1] * y + m[2] * z, m[3] * x + m[4] * y + m[5] * z, m[6] * x + m[7] * y + m[8] * z];
}

/** Of an axis-angle vector. */
export function fromVector(x, y, z) {
  const angle = Math.hypot(x, y, z);
  const small = angle < 1e-8;
  const a = small ? 1 : Math.sin(angle) / angle;
  const b = small ? 0.5 : (1 - Math.cos(angle)) / (angle * angle);
  return [
    1 - b * (y * y + z * z), b * x * y - a * z, b * x * z + a * y,
    b * x * y + a * z, 1 - b * (x * x + z * z), b * y * z - a * x,
    b * x * z - a * y, b * y * z + a * x, 1 - b * (x * x + y * y),
  ];
}

/** The head's [yaw, pitch, roll]: R = R_y(yaw) R_x(-pitch) R_z(roll). */
export function toAngles(m) {
  return [Math.atan2(m[2], m[8]), Math.asin(Math.min(1, Math.max(-1, m[5]))), Math.atan2(m[3], m[4])];
}

export function fromAngles(yaw, pitch, roll) {
  const [sy, cy, sx, cx, sz, cz] = [yaw, -pitch, roll].flatMap((angle) => [Math.sin(angle), Math.cos(angle)]);
  const y = [cy, 0, sy, 0, 1, 0, -sy, 0, cy];
  const x = [1, 0, 0, 0, cx, -sx, 0, sx, cx];
  const z = [cz, -sz, 0, sz, cz, 0, 0, 0, 1];
  return multiply(multiply(y, x), z);
}

/** Of an eye: yaw to the subject's left, pitch up. */
export function fromGaze(yaw, pitch) {
  const [sy, cy, sp, cp] = [Math.sin(yaw), Math.cos(yaw), Math.sin(pitch), Math.cos(pitch)];
  return [cy, -sy * sp, sy * cp, 0, cp, sp, -sy, -cy * sp, cy * cp];
}
