// A board of the day's sales in another language: `node board.mjs SOCKET`. It reads one event and emits another.
import { randomUUID } from "node:crypto";
import net from "node:net";

const GROUP = "board", READS = "events:sale_closed", WRITES = "events:board_updated";
const socket = net.connect(process.argv[2]), waiting = [];
let buffer = Buffer.alloc(0);
socket.on("data", (data) => {
  buffer = Buffer.concat([buffer, data]);
  for (let reply; (reply = parse(0)); waiting.shift()(reply[0])) buffer = buffer.subarray(reply[1]);
});
function parse(at) { // RESP2: the value and where it ends; nothing while it has not come whole
  const line = buffer.indexOf("\r\n", at), text = buffer.toString("utf8", at + 1, line), size = Number(text);
  if (line < 0) return;
  let kind = String.fromCharCode(buffer[at]), end = line + 2;
  if (kind === "+" || kind === ":" || kind === "-") return [text, end];
  if (size < 0) return [null, end];
  if (kind === "$") return buffer.length < end + size + 2 ? undefined : [buffer.toString("utf8", end, end + size), end + size + 2];
  const items = [];
  for (let item; items.length < size; items.push(item[0]), end = item[1]) if (!(item = parse(end))) return;
  return [items, end];
}
const send = (...words) => new Promise((answered) => {
  waiting.push(answered);
  socket.write(`*${words.length}\r\n` + words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join(""));
});
await send("XGROUP", "CREATE", READS, GROUP, "0", "MKSTREAM"); // from the first retained entry; there already is fine
for (let from = "0"; ; ) { // first what this consumer had read and not acked when it ended, then what is new
  const reply = await send("XREADGROUP", "GROUP", GROUP, "board-1", "COUNT", "10", "BLOCK", "2000", "STREAMS", READS, from);
  const entries = reply?.[0][1] ?? [];
  for (const [id, flat] of entries) {
    const event = Object.fromEntries(flat.map((name, i) => [name, flat[i + 1]]).filter((_, i) => i % 2 === 0));
    if (!event.targetgroup || event.targetgroup === GROUP) {
      const { session_id, total_cents } = JSON.parse(event.data);
      await send("XADD", WRITES, "*", "specversion", "1.0", "id", randomUUID(), "source", "board", "type", "board_updated",
        "time", new Date().toISOString(), "datacontenttype", "application/json", "data", JSON.stringify({ session_id, total_cents }),
        "dataschema", "recyclic:board_updated/1", "correlationid", event.correlationid ?? event.id, "causationid", event.id);
    }
    await send("XACK", READS, GROUP, id);
  }
  if (from === "0" && entries.length === 0) from = ">";
}
