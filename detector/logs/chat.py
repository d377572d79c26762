"""What the user wrote in a chat of which every request repeats all messages so far: only what is new is a query."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from detector.errors import DecodeError
from detector.logs.contract import INPUT

USER = frozenset({"user", "human"})
ASSISTANT = frozenset({"assistant", "model", "ai"})


class Part(msgspec.Struct, gc=False):
    """Of a message that holds more than text. An image, or the result of a tool, has no text."""

    text: str | None = None


class Message(msgspec.Struct, gc=False):
    role: str
    content: str | list[str | Part] | None = None


def newly_asked(messages: Sequence[Message], client: str | None) -> str:
    """What the user wrote since the assistant's last answer, several messages joined by a line's end.

    Messages after the user's last one are no answers to it: they are the beginning of an answer that was asked for, or
    steps of an agent, which asks the same again. Where no user wrote (all stands in the instructions), it is what
    anybody but the assistant wrote. Raises DecodeError where nobody wrote text.
    """
    new: list[str] = []
    for message in reversed(messages):
        if _is(message, USER):
            text = _text(message)
            if text:
                new.append(text)
        elif new and _is(message, ASSISTANT):
            break
    if not new:
        new = [text for message in reversed(messages) if not _is(message, ASSISTANT) and (text := _text(message))]
    if not new:
        raise DecodeError(INPUT, "`input` is a chat in which only the assistant has written text", client=client)
    return "\n".join(reversed(new))


def _is(message: Message, roles: frozenset[str]) -> bool:
    return message.role in roles or message.role.lower() in roles


def _text(message: Message) -> str:
    content = message.content
    if isinstance(content, list):
        return "\n".join(filter(None, [part if isinstance(part, str) else part.text for part in content]))
    return content or ""
