"""The native log in the words of JSON Schema: docs/log.schema.json, which is what operators write against."""

from __future__ import annotations

from typing import Any, TypeAlias

from detector.logs.native import DEFAULT_MODEL, MAX_ROWS

Schema: TypeAlias = dict[str, Any]


def log_schema() -> Schema:
    """Written by hand: what detector.logs.native reads is wider (it counts microseconds, reads null as absent)."""
    name = {"type": ["string", "integer", "null"]}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "querywarden native log record",
        "description": "One inference request with its answer; one JSON object a line, at most 10 MiB.",
        "type": "object",
        "required": ["at"],
        "oneOf": [{"required": ["input"]}, {"required": ["inputs"]}],
        "properties": {
            "at": _at(),
            "input": _input(),
            "client": {**name, "description": "Who asked, as the server knows it. Absent: not judged, a dead letter."},
            "model": {"type": ["string", "null"], "default": DEFAULT_MODEL, "description": "The model that was asked."},
            "model_version": {
                **name,
                "description": "Its version. Of a version that the profile is not for: observed.",
            },
            "status": {
                "enum": ["ok", "error", None],
                "default": "ok",
                "description": "error: the model gave no answer. Counts for budgets, is not judged.",
            },
            "cached": {"type": ["boolean", "null"], "description": "Answered from a cache: counts as any other."},
            "id": {**name, "description": "The query's id in the log; alerts name queries by it."},
            "groups": {
                "description": "What else the client belongs to, such as organisation, subnet, user agent.",
                "type": ["object", "null"],
                "additionalProperties": name,
            },
            "output": _output(),
            "embedding": {
                "description": "A vector of the input's meaning, where the log carries one already.",
                "type": ["array", "null"],
                "items": {"type": "number"},
            },
            "inputs": {
                "description": "Many queries asked together, instead of `input`; each counts, in this order.",
                "type": "array",
                "minItems": 1,
                "maxItems": MAX_ROWS,
                "items": _input(),
            },
            "outputs": {
                "description": "The answers to `inputs`, as many.",
                "type": ["array", "null"],
                "items": _output(),
            },
        },
        "examples": log_examples(),
    }


def _output() -> Schema:
    probability = {"type": "number", "minimum": -0.001, "maximum": 1.001}
    return {
        "description": "The model's answer, as far as it was logged.",
        "type": ["object", "null"],
        "properties": {
            "label": {
                "type": ["string", "integer", "boolean", "null"],
                "description": "The predicted class. true is 1 and false is 0.",
            },
            "probabilities": {
                "description": "By class; an object is taken in the order of its sorted keys.",
                "anyOf": [
                    {"type": "array", "items": probability},
                    {"type": "object", "additionalProperties": probability},
                    probability,
                    {"type": "null"},
                ],
            },
            "text": {"type": ["string", "null"], "description": "What a language model answered."},
        },
    }


def _at() -> Schema:
    return {
        "description": "When it was asked: seconds since 1970 (UTC), or RFC 3339; from 1970 until before 2100.",
        "anyOf": [
            {"type": "number", "minimum": 0, "exclusiveMaximum": 4_102_444_800},
            {"type": "string", "format": "date-time"},
        ],
    }


def _input() -> Schema:
    numbers: Schema = {"type": "array", "minItems": 1, "items": {"type": "number"}}
    shapes = [numbers]
    for _ in range(3):
        shapes.append({"type": "array", "minItems": 1, "items": shapes[-1]})
    return {
        "description": "What was asked: numbers, nested up to four deep; text; a chat, of which what the user wrote "
        "since the last answer counts; or named values, such as the row of a table.",
        "anyOf": [*shapes, {"type": "string", "minLength": 1}, _chat(), _named()],
    }


def _chat() -> Schema:
    part = {"type": ["object", "string"], "properties": {"text": {"type": ["string", "null"]}}}
    return {
        "type": "array",
        "minItems": 1,
        "items": {
            "type": "object",
            "required": ["role"],
            "properties": {
                "role": {"type": "string", "description": "user or human; assistant, model or ai; any other."},
                "content": {"anyOf": [{"type": ["string", "null"]}, {"type": "array", "items": part}]},
            },
        },
    }


def _named() -> Schema:
    value = {"type": ["number", "string", "boolean", "null"]}
    return {"type": "object", "minProperties": 1, "additionalProperties": value}


def log_examples() -> list[Schema]:
    return [
        {"at": 1767225600, "input": [0.5, 1, -2.25]},
        {
            "id": "req-8c1f",
            "at": 1767225600.125,
            "client": "acct-2291",
            "groups": {"organisation": "org-17", "subnet": "198.51.100.0/24"},
            "model": "fraud-v3",
            "input": [12.5, 0, 1, 3.75],
            "output": {"label": "legitimate", "probabilities": {"fraud": 0.04, "legitimate": 0.96}},
        },
        {
            "id": 73,
            "at": "2026-01-01T00:00:00.125+01:00",
            "client": 2291,
            "model": "digits",
            "input": [[0, 0.5], [1, 0.25]],
            "output": {"label": 7, "probabilities": [0.1, 0.9]},
        },
        {
            "id": "batch-12",
            "at": "2026-01-01T00:00:00Z",
            "client": "acct-2291",
            "model": "fraud",
            "model_version": 3,
            "cached": True,
            "inputs": [[12.5, 0, 1, 3.75], [11, 0, 0, 2.5]],
            "outputs": [{"label": "legitimate"}, {"label": "fraud"}],
        },
        {"at": 1767225600, "client": "acct-7", "input": [0.5, 1, -2.25], "status": "error"},
        {
            "id": "chat-1",
            "at": "2026-01-01T00:00:00Z",
            "client": "key-5",
            "model": "assistant",
            "input": "How do I boil an egg?",
            "output": {"text": "In boiling water, for seven minutes."},
        },
        {
            "id": "chat-2",
            "at": "2026-01-01T00:00:09Z",
            "client": "key-5",
            "model": "assistant",
            "input": [
                {"role": "system", "content": "You are a cook."},
                {"role": "user", "content": "How do I boil an egg?"},
                {"role": "assistant", "content": "In boiling water, for seven minutes."},
                {"role": "user", "content": [{"type": "text", "text": "And how do I peel it?"}]},
            ],
            "embedding": [0.25, -0.5, 0.125],
        },
        {
            "at": 1767225600,
            "client": "acct-7",
            "model": "credit",
            "input": {"age": 41, "work": "nurse", "owner": True, "debt": None},
        },
    ]
