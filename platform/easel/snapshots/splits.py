"""Which prompts are for training, validation and test: by a hash, with prompts that say nearly the same together.

Pure: no Django, no database. Two prompts are near duplicates when at least nine tenths of their words are the same
(Jaccard similarity of the two sets). Case, punctuation, word order, articles and the plural do not count, so a short
prompt's near duplicates are those of the very same words, and a prompt of 20 words may differ in one of them.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from struct import unpack

from finetune.types import Split

ALIKE = (9, 10)  # whole numbers: nine tenths as a float would miss some pairs by rounding
_SILENT = frozenset(["a", "an", "the", "of", "on", "in", "at", "with", "and", "to", "for", "by", "is", "are", "its"])
_WORD = re.compile(r"[぀-ヿ㐀-䶿一-鿿가-힯]|\w+")  # without blanks between words, each sign is one

Words = bytes
"""The words that count of a prompt, as ascending hashes of 8 bytes: a hundred thousand prompts fit in little memory."""
_BYTES = 8


def words_of(text: str) -> Words:
    """Return the words that count of a prompt; what has none at all is one word as a whole."""
    plain = unicodedata.normalize("NFKC", text).casefold()
    words = {_singular(word) for word in _WORD.findall(plain) if word not in _SILENT} or {plain.strip()}
    return b"".join(sorted(blake2b(word.encode(), digest_size=_BYTES).digest() for word in words))


def _singular(word: str) -> str:
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word


def _parts(words: Words) -> tuple[int, ...]:
    return unpack(f">{len(words) // _BYTES}Q", words)


def near(one: Words, other: Words) -> bool:
    """Tell whether two prompts are near duplicates."""
    share, of = ALIKE
    same = len(set(_parts(one)) & set(_parts(other)))
    return of * same >= share * ((len(one) + len(other)) // _BYTES - same)


def near_pairs(prompts: Sequence[Words]) -> Iterator[tuple[int, int]]:
    """Yield the places of every two near duplicates among different prompts, the lower place first.

    Exact, without comparing all with all: sorted by how rare their words are, two sets with a similarity of at least t
    share one of the first |x| - ceil(t |x|) + 1 words of x (prefix filter; Chaudhuri, Ganti and Kaushik 2006).
    """
    share, of = ALIKE
    often = _often(prompts)
    holding: dict[int, list[int]] = defaultdict(list)
    for place, words in enumerate(prompts):
        rare = sorted(_parts(words), key=lambda word: (often.get(word, 1), word))
        seen: set[int] = set()
        for word in rare[: len(rare) + -share * len(rare) // of + 1]:
            if word not in often:
                continue  # nobody else has it
            for other in holding[word]:
                if other not in seen:
                    seen.add(other)
                    if near(words, prompts[other]):
                        yield other, place
            holding[word].append(place)


def _often(prompts: Sequence[Words]) -> dict[int, int]:
    """Return how many prompts have each word, of those that more than one has."""
    import numpy as np

    words, counts = np.unique(np.frombuffer(b"".join(prompts), ">u8"), return_counts=True)
    return dict(zip(words[counts > 1].tolist(), counts[counts > 1].tolist(), strict=True))


@dataclass(frozen=True)
class Shares:
    """How much of the prompts goes where; the rest is for training."""

    validation: float = 0.05
    test: float = 0.05
    seed: int = 0


class Splits:
    """The split of each prompt of a snapshot; prompts near a held-out one are in none.

    The split of a group of near duplicates is read off a hash of the seed and of one of them. So a prompt stays in its
    split as others come: a later round does not train on what an earlier one tested with. The one exception: where
    training would be left with nothing, it gets a group of the others'.
    """

    def __init__(self, texts: Iterable[str], held_out: Iterable[str], shares: Shares) -> None:
        forbidden = {words_of(text) for text in held_out}
        marks = {words: _mark(words, shares.seed) for words in map(words_of, texts)}
        prompts = [*marks, *(forbidden - marks.keys())]
        leaders = _leaders(prompts)
        closed = {leader for leader, words in zip(leaders, prompts, strict=True) if words in forbidden}
        of_group: dict[int, bytes] = {}
        for leader, words in zip(leaders, prompts, strict=True):
            if leader not in closed:
                of_group[leader] = min(of_group.get(leader, marks[words]), marks[words])
        splits = {leader: _split(_place(mark), shares) for leader, mark in of_group.items()}
        if splits and "train" not in splits.values():
            splits[min(of_group, key=lambda leader: _place(of_group[leader]))] = "train"
        self.groups = len(splits)
        """How many prompts there are, near duplicates counted once."""
        self.held_out = sum(leader in closed for leader in leaders[: len(marks)])
        """Prompts that are left out because they are near one that is held out."""
        self._splits: dict[Words, Split] = {
            words: splits[leader] for leader, words in zip(leaders, prompts, strict=True) if leader in splits
        }

    def of(self, text: str) -> Split | None:
        """Return the split of a prompt, or None for one that must be left out."""
        return self._splits.get(words_of(text))


def _mark(words: Words, seed: int) -> bytes:
    """Return a hash of a prompt and the seed. The least one of a group speaks for it, by its second half."""
    return blake2b(words, key=seed.to_bytes(8), digest_size=16).digest()


def _place(mark: bytes) -> float:
    """Return where a group stands between 0 and 1."""
    return int.from_bytes(mark[8:]) / 2**64


def _split(place: float, shares: Shares) -> Split:
    if place < 1 - shares.validation - shares.test:
        return "train"
    return "validation" if place < 1 - shares.test else "test"


def _leaders(prompts: Sequence[Words]) -> list[int]:
    """Return one prompt of each prompt's group: near duplicates, and their near duplicates, have the same."""
    leader = list(range(len(prompts)))

    def find(place: int) -> int:
        while leader[place] != place:
            leader[place] = leader[leader[place]]
            place = leader[place]
        return place

    for one, other in near_pairs(prompts):
        leader[find(other)] = find(one)
    return [find(place) for place in range(len(prompts))]


@dataclass(frozen=True)
class Leak:
    """Two prompts that say nearly the same on both sides of a border."""

    prompt: str
    split: str
    other: str
    other_split: str


def leak_among(rows: Callable[[], Iterable[tuple[str, str]]]) -> Leak | None:
    """Look for near duplicates in different splits among prompts and their splits; return the first two, or None.

    Held-out prompts go in as a split of their own. It knows nothing of how the splits were made. The rows are read
    twice where there is a leak, so that the texts need not be held.
    """
    found: dict[Words, str] = {}
    for text, split in rows():
        words = words_of(text)
        if (known := found.setdefault(words, split)) != split:
            return _leak(rows, words, known, words, split)
    prompts = list(found)
    for one, other in near_pairs(prompts):
        if found[prompts[one]] != found[prompts[other]]:
            return _leak(rows, prompts[one], found[prompts[one]], prompts[other], found[prompts[other]])
    return None


def _leak(
    rows: Callable[[], Iterable[tuple[str, str]]], one: Words, split: str, other: Words, other_split: str
) -> Leak:
    def text_of(words: Words, where: str) -> str:
        return next(text for text, found in rows() if found == where and words_of(text) == words)

    return Leak(text_of(one, split), split, text_of(other, other_split), other_split)
