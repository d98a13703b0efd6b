// The EventSource of npm, in Node: `node - <where eventsource.mjs is> <the stream>`, with a line of JSON for each event.
import { EventSource } from "eventsource";

const [, , program, url] = process.argv;
const awake = setInterval(() => {}, 60_000); // its pause before it comes back does not keep a program running
const { watch } = await import(program);
await watch(EventSource, url, (event) => process.stdout.write(`${JSON.stringify(event)}\n`));
clearInterval(awake);
