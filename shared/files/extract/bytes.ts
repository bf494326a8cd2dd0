/** Bytes of ASCII, one for each character. */
export function ascii(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

export function startsWith(bytes: Uint8Array, start: Uint8Array, offset = 0): boolean {
  return start.every((byte, index) => bytes[offset + index] === byte);
}

/** Where `wanted` is first in the bytes from `from` on, before `to`; -1 where it is not. */
export function indexOf(bytes: Uint8Array, wanted: Uint8Array, from = 0, to = bytes.length): number {
  const first = wanted[0] ?? 0;
  const last = to - wanted.length;
  for (let at = bytes.indexOf(first, from); at !== -1 && at <= last; at = bytes.indexOf(first, at + 1)) {
    if (startsWith(bytes, wanted, at)) return at;
  }
  return -1;
}
