// MessagePack, the part of it that the websocket speaks: nil, booleans, integers up to 2^53,
// floats, text, bytes, arrays and maps with text keys. Extensions are refused, as is anything
// after the first value. Knows nothing of the frames' meaning.

const MAX_DEPTH = 16;
const TWO_32 = 0x1_0000_0000;

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true });

/** The bytes of one value. Throws TypeError for what the format part above cannot say. */
export function encode(value) {
  const writer = new Writer();
  writer.value(value, 0);
  return writer.bytes.subarray(0, writer.length);
}

/** The value in `bytes` (Uint8Array). Byte strings are views of it. Throws RangeError when malformed. */
export function decode(bytes) {
  const reader = new Reader(bytes);
  const value = reader.value(0);
  if (reader.at !== bytes.length) throw new RangeError("msgpack: bytes after the value");
  return value;
}

class Writer {
  constructor() {
    this.bytes = new Uint8Array(256);
    this.view = new DataView(this.bytes.buffer);
    this.length = 0;
  }

  /** Makes room for `count` bytes and returns where they start. */
  room(count) {
    const start = this.length;
    this.length += count;
    if (this.length > this.bytes.length) {
      const larger = new Uint8Array(Math.max(this.length, this.bytes.length * 2));
      larger.set(this.bytes);
      this.bytes = larger;
      this.view = new DataView(larger.buffer);
    }
    return start;
  }

  copy(bytes) {
    const at = this.room(bytes.length); // which may replace this.bytes
    this.bytes.set(bytes, at);
  }

  byte(value) {
    const at = this.room(1);
    this.bytes[at] = value;
  }

  /** A type byte followed by an unsigned integer of `width` bytes. */
  headed(type, width, value) {
    const at = this.room(1 + width);
    this.bytes[at] = type;
    if (width === 1) this.view.setUint8(at + 1, value);
    else if (width === 2) this.view.setUint16(at + 1, value);
    else this.view.setUint32(at + 1, value);
  }

  value(value, depth) {
    if (depth > MAX_DEPTH) throw new TypeError("msgpack: nested too deeply");
    if (value === null || value === undefined) this.byte(0xc0);
    else if (value === false) this.byte(0xc2);
    else if (value === true) this.byte(0xc3);
    else if (typeof value === "number") this.number(value);
    else if (typeof value === "string") this.text(value);
    else if (value instanceof Uint8Array) this.binary(value);
    else if (Array.isArray(value)) this.array(value, depth);
    else if (typeof value === "object") this.map(value, depth);
    else throw new TypeError(`msgpack: cannot write a ${typeof value}`);
  }

  number(value) {
    if (!Number.isSafeInteger(value)) {
      if (Number.isInteger(value)) throw new TypeError("msgpack: integer over 2^53");
      const at = this.room(9);
      this.bytes[at] = 0xcb;
      this.view.setFloat64(at + 1, value);
    } else if (value >= 0) this.unsigned(value);
    else this.negative(value);
  }

  unsigned(value) {
    if (value < 0x80) this.byte(value);
    else if (value < 0x100) this.headed(0xcc, 1, value);
    else if (value < 0x1_0000) this.headed(0xcd, 2, value);
    else if (value < TWO_32) this.headed(0xce, 4, value);
    else this.wide(0xcf, value);
  }

  negative(value) {
    if (value >= -0x20) this.byte(value & 0xff);
    else if (value >= -0x80) this.headed(0xd0, 1, value & 0xff);
    else if (value >= -0x8000) this.headed(0xd1, 2, value & 0xffff);
    else if (value >= -0x8000_0000) this.headed(0xd2, 4, value >>> 0);
    else this.wide(0xd3, value);
  }

  wide(type, value) {
    const at = this.room(9);
    this.bytes[at] = type;
    this.view.setBigInt64(at + 1, BigInt(value));
  }

  text(value) {
    const utf8 = encoder.encode(value);
    const count = utf8.length;
    if (count < 0x20) this.byte(0xa0 | count);
    else this.sized([0xd9, 0xda, 0xdb], count);
    this.copy(utf8);
  }

  binary(value) {
    this.sized([0xc4, 0xc5, 0xc6], value.length);
    this.copy(value);
  }

  array(values, depth) {
    if (values.length < 0x10) this.byte(0x90 | values.length);
    else this.sized([0, 0xdc, 0xdd], values.length);
    for (const value of values) this.value(value, depth + 1);
  }

  map(object, depth) {
    const entries = Object.entries(object);
    if (entries.length < 0x10) this.byte(0x80 | entries.length);
    else this.sized([0, 0xde, 0xdf], entries.length);
    for (const [key, value] of entries) {
      this.text(key);
      this.value(value, depth + 1);
    }
  }

  /** A length behind the type byte of its width; a 0 says that there is no such width. */
  sized([one, two, four], count) {
    if (one && count < 0x100) this.headed(one, 1, count);
    else if (count < 0x1_0000) this.headed(two, 2, count);
    else this.headed(four, 4, count);
  }
}

class Reader {
  constructor(bytes) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.at = 0;
  }

  /** Where the next `count` bytes start; moves past them. */
  skip(count) {
    const start = this.at;
    this.at += count;
    if (this.at > this.bytes.length) throw new RangeError("msgpack: the value is cut short");
    return start;
  }

  value(depth) {
    if (depth > MAX_DEPTH) throw new RangeError("msgpack: nested too deeply");
    const type = this.bytes[this.skip(1)];
    if (type < 0x80) return type;
    if (type >= 0xe0) return type - 0x100;
    if (type < 0x90) return this.map(type & 0x0f, depth);
    if (type < 0xa0) return this.array(type & 0x0f, depth);
    if (type < 0xc0) return this.text(type & 0x1f);
    return this.typed(type, depth);
  }

  typed(type, depth) {
    switch (type) {
      case 0xc0: return null;
      case 0xc2: return false;
      case 0xc3: return true;
      case 0xc4: return this.binary(this.unsigned(1));
      case 0xc5: return this.binary(this.unsigned(2));
      case 0xc6: return this.binary(this.unsigned(4));
      case 0xca: return this.view.getFloat32(this.skip(4));
      case 0xcb: return this.view.getFloat64(this.skip(8));
      case 0xcc: return this.unsigned(1);
      case 0xcd: return this.unsigned(2);
      case 0xce: return this.unsigned(4);
      case 0xcf: return safe(this.view.getBigUint64(this.skip(8)));
      case 0xd0: return this.view.getInt8(this.skip(1));
      case 0xd1: return this.view.getInt16(this.skip(2));
      case 0xd2: return this.view.getInt32(this.skip(4));
      case 0xd3: return safe(this.view.getBigInt64(this.skip(8)));
      case 0xd9: return this.text(this.unsigned(1));
      case 0xda: return this.text(this.unsigned(2));
      case 0xdb: return this.text(this.unsigned(4));
      case 0xdc: return this.array(this.unsigned(2), depth);
      case 0xdd: return this.array(this.unsigned(4), depth);
      case 0xde: return this.map(this.unsigned(2), depth);
      case 0xdf: return this.map(this.unsigned(4), depth);
      default: throw new RangeError(`msgpack: type 0x${type.toString(16)} is not used here`);
    }
  }

  unsigned(width) {
    const at = this.skip(width);
    if (width === 1) return this.view.getUint8(at);
    return width === 2 ? this.view.getUint16(at) : this.view.getUint32(at);
  }

  binary(count) {
    const start = this.skip(count);
    return this.bytes.subarray(start, start + count);
  }

  text(count) {
    try {
      return decoder.decode(this.binary(count));
    } catch (error) {
      if (error instanceof TypeError) throw new RangeError("msgpack: text is not UTF-8");
      throw error;
    }
  }

  array(count, depth) {
    // Each element is a byte at least: a length that lies cannot make memory grow.
    if (count > this.bytes.length - this.at) throw new RangeError("msgpack: the value is cut short");
    const values = new Array(count);
    for (let i = 0; i < count; i += 1) values[i] = this.value(depth + 1);
    return values;
  }

  map(count, depth) {
    const object = {};
    for (let i = 0; i < count; i += 1) {
      const key = this.value(depth + 1);
      if (typeof key !== "string") throw new RangeError("msgpack: a map's keys must be text");
      // defineProperty, so that a key "__proto__" is a key like any other.
      Object.defineProperty(object, key, {
        value: this.value(depth + 1), enumerable: true, configurable: true, writable: true,
      });
    }
    return object;
  }
}

function safe(big) {
  const value = Number(big);
  if (!Number.isSafeInteger(value)) throw new RangeError("msgpack: integer over 2^53");
  return value;
}
