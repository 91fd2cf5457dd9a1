// packaging/chirpstack_codec.js - uplinks of a squall station for ChirpStack v4: paste it as the codec of a device profile.
// The messages are in docs/edge.md, bit by bit; src/edge/lora/lora_codec.c reads and writes the same.

var KINDS = ["report", "alarm", "stored", "answer"];
var STATUS = ["clock unsure", "no radar", "fallback", "storage trouble", "saving power", "no gauge", "engine returned", "restarted"];

function checksum(bytes, size) {
  var crc = 0xffff;
  for (var i = 0; i < size; i++) {
    crc ^= bytes[i] << 8;
    for (var b = 0; b < 8; b++) {
      crc = ((crc & 0x8000) !== 0 ? (crc << 1) ^ 0x1021 : crc << 1) & 0xffff;
    }
  }
  return crc;
}

// mm/h; null outside coverage
function rate(code) {
  if (code === 63) {
    return null;
  }
  var mantissa = code & 7, exponent = code >> 3;
  return (exponent === 0 ? 2 * mantissa : 2 * ((8 + mantissa) << (exponent - 1))) / 10;
}

function decode(bytes) {
  if (bytes.length < 15 || bytes.length > 51) {
    throw new Error("length");
  }
  var body = bytes.length - 2, at = 0;
  if (checksum(bytes, body) !== ((bytes[body] << 8) | bytes[body + 1])) {
    throw new Error("checksum");
  }
  function get(count) {
    var value = 0;
    for (var i = 0; i < count; i++, at++) {
      value = value * 2 + ((bytes[at >> 3] >> (7 - (at & 7))) & 1);
    }
    return value;
  }
  function check(holds, what) {
    if (!holds) {
      throw new Error(what);
    }
  }
  check(get(4) === 1, "version");
  var kind = get(4);
  check(kind < KINDS.length, "kind");
  var data = { kind: KINDS[kind], station: get(16), sequence: get(16), issue_s: 1577836800 + 60 * get(25) };
  data.issue = new Date(1000 * data.issue_s).toISOString();
  data.status = get(8);
  data.status_words = STATUS.filter(function (word, bit) { return (data.status >> bit) & 1; });
  var battery = get(7), confidence = get(5);
  check(battery === 127 || battery <= 100, "battery");
  check(confidence === 31 || confidence <= 20, "confidence");
  data.battery = battery === 127 ? null : battery;
  data.confidence = confidence === 31 ? null : 5 * confidence;
  if (data.kind === "answer") {
    check(bytes.length === 18, "length");
    data.counter = get(32);
    data.result = get(7);
  } else {
    var threshold = get(6);
    data.threshold_mm_h = rate(threshold);
    data.lead_step_min = 5 * (get(3) + 1);
    var sectors = get(4), leads = get(3);
    check(threshold !== 63 && sectors <= 8 && leads >= 1 && leads <= 4, "counts");
    check(bytes.length === ((101 + sectors * (5 + 6 * leads) + 7) >> 3) + 2, "length");
    data.sectors = [];
    for (var s = 0; s < sectors; s++) {
      var onset = get(5), rates = [];
      for (var l = 0; l < leads; l++) {
        rates.push(rate(get(6)));
      }
      data.sectors.push({ rates_mm_h: rates, onset_min: onset === 31 ? null : 5 * onset });
    }
  }
  check(get(8 * body - at) === 0, "bits behind the end");
  return data;
}

function decodeUplink(input) {
  if (input.fPort !== 10) {
    return { errors: ["port " + input.fPort + " is not squall's: 10 is"] };
  }
  try {
    return { data: decode(input.bytes) };
  } catch (error) {
    return { errors: ["not a message of a squall station: " + error.message] };
  }
}
