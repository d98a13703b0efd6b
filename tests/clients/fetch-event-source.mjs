// @microsoft/fetch-event-source, left to itself: it is over when the stream has ended in good order.
import { fetchEventSource } from "/packages/@microsoft/fetch-event-source/lib/esm/index";

export const watch = (url, tell) =>
  fetchEventSource(url, {
    openWhenHidden: true,
    onmessage: ({ id, event, data }) => tell([Number(id), event || "message", data]),
  });
