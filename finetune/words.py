"""A tokenizer of whole words for the reward model's own text encoder, learned from the prompts that it trains on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import zip_longest

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
from torch import Tensor

PADDING, UNKNOWN, NOTHING = "<pad>", "<unk>", "<nothing>"
LENGTH = 32  # words that are read
WORDS = 8_000  # that are known, the most frequent


def learn(prompts: Iterable[str]) -> Tokenizer:
    """Return a tokenizer that knows the words of these prompts; any other word is one and the same to it."""
    splits = pre_tokenizers.Sequence([pre_tokenizers.Whitespace(), pre_tokenizers.Punctuation("removed")])
    normal = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    counted = Counter(word for prompt in prompts for word, _ in splits.pre_tokenize_str(normal.normalize_str(prompt)))
    known = [PADDING, UNKNOWN, NOTHING, *(word for word, _ in counted.most_common(WORDS))]
    tokenizer = Tokenizer(models.WordLevel({word: place for place, word in enumerate(known)}, unk_token=UNKNOWN))
    tokenizer.normalizer, tokenizer.pre_tokenizer = normal, splits
    tokenizer.enable_truncation(LENGTH)
    return tokenizer


def ids(tokenizer: Tokenizer, prompt: str) -> list[int]:
    """Return the tokens of a prompt, at least one."""
    found: list[int] = tokenizer.encode(prompt).ids
    return found or [tokenizer.token_to_id(NOTHING) or 0]


def pad(rows: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    """Return rows of tokens as (N, L) tokens and (N, L) of 1 where there is one."""
    tokens = torch.tensor(list(zip_longest(*rows, fillvalue=-1))).T
    return tokens.clamp(min=0).contiguous(), (tokens >= 0).long().contiguous()
