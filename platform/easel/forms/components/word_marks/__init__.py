"""Words of the prompt that the images miss."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field

from easel.forms.components.base import (
    Answer,
    AnswerContext,
    AnswerError,
    BaseComponent,
    FormView,
    Group,
    Options,
    checked_option,
)

_SPACE = re.compile(r"[ \t\n\r\f\v\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+")


def words_of(text: str) -> list[str]:
    """Split a prompt into words at the very characters at which the page does (field.js): numbers mean the same."""
    return [word for word in _SPACE.split(text) if word]


class WordMarks(BaseComponent):
    """Words of the prompt, marked: `[{"word": 2, "kind": "missing"}]`.

    `word` counts the prompt's words from 0, as white space parts them; each word has one mark at most (rich human
    feedback, Liang et al. 2024, arXiv:2312.10240).
    """

    title: ClassVar[str] = "Word marks"
    group: ClassVar[Group] = "judgement"
    answers: ClassVar[bool] = True
    needs_text: ClassVar[bool] = True

    type: Literal["word_marks"]
    kinds: Options = Field(description="What a mark can mean.")

    def misfit(self, form: FormView) -> str:
        """It marks the words of a prompt."""
        return (
            "" if "prompt" in form.types else "marks words of the prompt, and the form has none; add a prompt before it"
        )

    def check(self, answer: Answer, context: AnswerContext) -> Answer:
        """Take marks on words that the prompt has, in its order."""
        if not isinstance(answer, list):
            raise AnswerError('must be a list of marks, as [{"word": 2, "kind": "missing"}]')
        words = words_of(context.text)
        checked = {}
        for mark in answer:
            if not isinstance(mark, dict) or set(mark) != {"word", "kind"}:
                raise AnswerError('holds a mark that is none; one is {"word": 2, "kind": "missing"}')
            word = mark["word"]
            if isinstance(word, bool) or not isinstance(word, int) or not 0 <= word < len(words):
                raise AnswerError(f"marks word {str(word)[:20]}; the prompt has {len(words)}, counted from 0")
            if word in checked:
                raise AnswerError(f"marks word {word} twice; a word has one mark")
            checked[word] = {"word": word, "kind": checked_option(mark["kind"], self.kinds)}
        return [checked[word] for word in sorted(checked)]

    def words(self, answer: Answer, letters: Mapping[str, str], text: str) -> str:
        """As `red: Missing, apple: Shown wrongly`."""
        labels = {kind.value: kind.label or kind.value for kind in self.kinds}
        words = words_of(text)
        return ", ".join(
            f"{words[mark['word']]}: {labels[mark['kind']]}" for mark in answer if mark["word"] < len(words)
        )

    def columns(self) -> tuple[str, ...]:
        """A column a kind."""
        return tuple(f"{self.name}.{kind.value}" for kind in self.kinds)

    def cells(self, answer: Answer) -> dict[str, object]:
        """The numbers of the words of each kind."""
        return {
            f"{self.name}.{kind.value}": "; ".join(str(mark["word"]) for mark in answer if mark["kind"] == kind.value)
            for kind in self.kinds
        }
