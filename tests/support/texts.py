"""Texts that hurt: whoever cuts a stream of them into lines, events or characters in the wrong place loses some."""

import json

_TEXTS = (
    *("", " ", "\r", "\n", "\r\n", "a\rb\nc\r\nd", "\u2028", "a\u2029b", "\u0085", "\v\f\x1c", "\0", "\ufeff"),
    *("id: 5", "id: 5\n\n", "\n\nid: 5\nevent: end\ndata: x\n\n", "event: end", "data: x", "retry: 1", ": ping"),
    *(
        "naïve 東京 \U0001f469\u200d\U0001f52c",
        "e\u0301",
        "\u202eabc",
        "\U0010ffff",
        "\\",
        '"',
        "</script>",
        "\ufeffdata:",
    ),
)

LONG_MESSAGE = json.dumps("é" * 6_000 + "a" * 70_000, ensure_ascii=False).encode()


def hurtful_message(number: int) -> bytes:
    """A text as it is, or in an object; in ASCII, or as it is written, or with line ends between the words of the JSON."""
    text = _TEXTS[number % len(_TEXTS)]
    if number % 4 == 0:
        return json.dumps(text).encode()
    between = ":\r " if number % 4 == 3 else ": "
    said = {"__type": "Said", "number": number, "text": text}
    return json.dumps(said, ensure_ascii=False, separators=(", ", between)).encode()
