// Ticket secrets as renderers/secret.py makes them: read, and proven with the house's public key by
// the browser's own Ed25519. Knows nothing of what was used or refunded.

export const PREFIX = "ST1";
const CHARS = 120;
const IDENTITY_BYTES = 9;
const ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const CONTEXT = new TextEncoder().encode("strapontin ticket 1\0");
const SHORT = /^\s*\d{1,10}[\s\-\u2010-\u2014]+\d{1,10}[\s\-\u2010-\u2014]+[0-9A-Z\s\-]+$/i;

/** Whether this is a ticket's readable number: only the server can prove that. */
export const isShortNumber = (text) => SHORT.test(text);

/** {performance, ticket, version, identity, signature}, unproven; null for any other spelling. */
export function readSecret(text) {
  if (text.length !== CHARS || !text.startsWith(PREFIX)) return null;
  const bytes = new Uint8Array(73);
  let bits = 0;
  let held = 0;
  let at = 0;
  for (const letter of text.slice(PREFIX.length)) {
    const value = ALPHABET.indexOf(letter);
    if (value < 0) return null;
    held = (held << 5) | value;
    bits += 5;
    if (bits >= 8) {
      bits -= 8;
      bytes[at] = held >> bits;
      at += 1;
      held &= (1 << bits) - 1;
    }
  }
  if (held !== 0) return null; // the spare bit: one text for a ticket, no other
  const view = new DataView(bytes.buffer);
  return {
    performance: view.getUint32(0),
    ticket: view.getUint32(4),
    version: bytes[8],
    identity: bytes.subarray(0, IDENTITY_BYTES),
    signature: bytes.subarray(IDENTITY_BYTES),
  };
}

/** The house's key for `proves`, from its 64 hexadecimal digits; null where the browser has no Ed25519. */
export async function publicKey(hexadecimal) {
  const raw = Uint8Array.from(hexadecimal.match(/../g), (pair) => Number.parseInt(pair, 16));
  try {
    return await crypto.subtle.importKey("raw", raw, "Ed25519", false, ["verify"]);
  } catch {
    return null;
  }
}

/** Whether the house signed what `readSecret` read. */
export function proves(key, claim) {
  const signed = new Uint8Array(CONTEXT.length + IDENTITY_BYTES);
  signed.set(CONTEXT);
  signed.set(claim.identity, CONTEXT.length);
  return crypto.subtle.verify("Ed25519", key, claim.signature, signed);
}
