// An EventSource, left to itself: it is over when it has given up for good.
const NAMES = ["snapshot", "message", "status", "phase", "upstream", "end"];

export const watch = (EventSource, url, tell) =>
  new Promise((resolve) => {
    const source = new EventSource(url);
    for (const name of NAMES) {
      source.addEventListener(name, ({ lastEventId, data }) => tell([Number(lastEventId), name, data]));
    }
    source.addEventListener("error", () => source.readyState === EventSource.CLOSED && resolve());
  });
