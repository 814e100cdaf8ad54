"""An online match model and the rule that mixes its hint into the model's distribution.

For each position the mixer names at most one *hint*: the token that followed the last occurrence of the
longest context that has occurred before. A rate counted on accepted tokens says how often hints like this
one came true. The hint's probability q becomes p = sigmoid(w0 + w1 logit(q) + w2 logit(rate)), and every
other token's is scaled by (1 - p) / (1 - q): the sum stays 1 whatever the hint, rate and weights are.

What is hinted, and how strongly, is a function of the tokens before the position and of the model's
distribution there; the token that is scored, and its class, are never looked at. Tables and rates change on
`accept` alone. A position inside a block sees the block's earlier tokens through a look-aside that leaves
no trace.

Shapes: T positions of a run, V vocabulary, K context lengths (rising), C classes of hints, F features.
Does not use counts of more than the last occurrence, word boundaries or more than one hint: see
docs/submission.md, "mixer". Sources: match models, Mahoney 2005 ("Adaptive weighing of context models for
lossless data compression"); mixing in the logit domain, Mattern 2012 (DCC).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Tokens = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

NO_HINT = -1
NEUTRAL = (0.0, 1.0, 0.0)
"""Weights that leave every distribution as it is."""
SURE = 1e-3
"""A model that leaves less than this beside the hint is left alone: rescaling so little would lose digits.

The rounding of the model's own sum, some 1e-16, is divided by what lies beside the hint.
"""
LARGEST_LOGIT = 30.0
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
_STEP = np.uint64(0xD6E8FEB86659FD93)
_ABSENT = np.uint64(0xFFFF_FFFF)


@dataclass(kw_only=True, slots=True, frozen=True)
class MixerConfig:
    """Sizes of the match model; the defaults suit a stream of some hundred thousand tokens."""

    lengths: tuple[int, ...] = (1, 2, 3, 4, 6, 8, 12, 16)
    """Context lengths in tokens, rising."""
    table_bits: int = 18
    """Each length has a table of 2^table_bits positions, 4 bytes each; newer entries replace older ones."""
    prior_hits: float = 1.0
    prior_misses: float = 1.0
    """What each class of hints is taken to have seen before the stream begins."""


class Hints(NamedTuple):
    """One hint a position. `token_T` is NO_HINT where no context has occurred before."""

    token_T: Tokens
    class_T: Tokens
    """0..C-1: how long the matched context is and how many shorter contexts name the same token."""
    rate_T: Floats
    """Probability, 0..1 exclusive, that hints of this class come true; 0.5 where there is none."""


class MatchModel:
    """Finds repeated contexts in a stream that the caller keeps.

    `stream_T` holds tokens 0 .. vocab-1 of the whole stream; calls name a run of positions in it. Contexts
    are found by 64-bit hash and then compared token by token, so that no collision is ever taken for a match.
    """

    def __init__(self, config: MixerConfig) -> None:
        if list(config.lengths) != sorted(set(config.lengths)) or config.lengths[0] < 1:
            raise ValueError(f"mixer lengths {config.lengths} are not rising from 1 or more")
        self.config = config
        lengths = len(config.lengths)
        self.last_at = np.full((lengths, 1 << config.table_bits), -1, dtype=np.int32)
        self.hits_C = np.full(lengths * lengths, config.prior_hits)
        self.seen_C = np.full(lengths * lengths, config.prior_hits + config.prior_misses)

    def hints(self, stream_T: Tokens, first: int, count: int, asked: int | None = None) -> Hints:
        """Return hints for the last `asked` of the positions first .. first+count-1, by default all.

        Changes nothing. Just the positions before `first` must have been accepted. The hint for position t
        depends on stream_T[:t] alone; stream_T[first+count-1:] is not read.
        """
        hashes_KT = self._hashes(stream_T, first, count)
        return self._hints(stream_T, first, hashes_KT, count if asked is None else asked)

    def accept(self, stream_T: Tokens, first: int, count: int) -> None:
        """Count how the hints for these positions fared, then remember their contexts."""
        hashes_KT = self._hashes(stream_T, first, count)
        hints = self._hints(stream_T, first, hashes_KT, count)
        given_T = hints.token_T != NO_HINT
        right_T = given_T & (hints.token_T == stream_T[first : first + count])
        classes = len(self.hits_C)
        self.seen_C += np.bincount(hints.class_T[given_T], minlength=classes)
        self.hits_C += np.bincount(hints.class_T[right_T], minlength=classes)
        position_T = np.arange(first, first + count, dtype=np.int32)
        for k, length in enumerate(self.config.lengths):
            whole = max(0, length - first)
            # Where a slot comes twice, numpy keeps the value assigned last: the latest position.
            self.last_at[k, self._slots(hashes_KT[k, whole:])] = position_T[whole:]

    def _slots(self, hash_T: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
        return hash_T >> np.uint64(64 - self.config.table_bits)

    def _hashes(self, stream_T: Tokens, first: int, count: int) -> npt.NDArray[np.uint64]:
        longest = self.config.lengths[-1]
        before = min(first, longest)
        padded = np.full(longest + count - 1, _ABSENT, dtype=np.uint64)
        padded[longest - before :] = stream_T[first - before : max(0, first + count - 1)]
        hashes_KT = np.empty((len(self.config.lengths), count), dtype=np.uint64)
        hash_T = np.zeros(count, dtype=np.uint64)
        for back in range(1, longest + 1):
            hash_T = (
                hash_T + padded[longest - back : longest - back + count] + _STEP
            ) * _MULTIPLIER
            hash_T ^= hash_T >> np.uint64(29)
            if back in self.config.lengths:
                hashes_KT[self.config.lengths.index(back)] = hash_T * _MULTIPLIER
        return hashes_KT

    def _hints(
        self,
        stream_T: Tokens,
        first: int,
        hashes_KT: npt.NDArray[np.uint64],
        asked: int,
    ) -> Hints:
        lengths = self.config.lengths
        begin = hashes_KT.shape[1] - asked
        token_KT = np.full((len(lengths), asked), NO_HINT, dtype=np.int64)
        for k, length in enumerate(lengths):
            at_T = self.last_at[k, self._slots(hashes_KT[k, begin:])].astype(np.int64)
            inside_T = _last_equal(hashes_KT[k], begin)
            at_T = np.where(inside_T >= 0, first + inside_T, at_T)
            at_T = _verified(stream_T, first + begin, at_T, length)
            token_KT[k] = np.where(at_T >= 0, stream_T[at_T], NO_HINT)
        found_KT = token_KT != NO_HINT
        # The longest matched context decides; its index counts how many context lengths matched at most.
        best_T = len(lengths) - 1 - np.argmax(found_KT[::-1], axis=0)
        token_T = np.take_along_axis(token_KT, best_T[None], axis=0)[0]
        agreeing_T = ((token_KT == token_T) & found_KT).sum(axis=0)
        class_T = best_T * len(lengths) + np.maximum(agreeing_T, 1) - 1
        rate_C = self.hits_C / self.seen_C
        rate_T = np.where(token_T == NO_HINT, 0.5, rate_C[class_T])
        return Hints(token_T, class_T, rate_T)


def _last_equal(hash_T: npt.NDArray[np.uint64], begin: int) -> npt.NDArray[np.int64]:
    """Return, for each index from `begin` on, the last earlier index with the same hash, or -1."""
    if len(hash_T) - begin == 1:  # what `predict` asks: no need to sort
        same = np.flatnonzero(hash_T[:-1] == hash_T[-1])
        return same[-1:] if len(same) else np.array([-1])
    order_T = np.argsort(hash_T, kind="stable")
    same_T = hash_T[order_T[1:]] == hash_T[order_T[:-1]]
    last_T = np.full(len(hash_T), -1, dtype=np.int64)
    last_T[order_T[1:][same_T]] = order_T[:-1][same_T]
    return last_T[begin:]


def _verified(
    stream_T: Tokens, first: int, at_T: npt.NDArray[np.int64], length: int
) -> npt.NDArray[np.int64]:
    """Return `at_T` where the `length` tokens before it are those before the position, else -1."""
    position_T = np.arange(first, first + len(at_T))
    kept = np.flatnonzero((at_T >= length) & (position_T >= length))
    for back in range(1, length + 1):
        kept = kept[stream_T[at_T[kept] - back] == stream_T[position_T[kept] - back]]
    checked_T = np.full(len(at_T), -1, dtype=np.int64)
    checked_T[kept] = at_T[kept]
    return checked_T


def logit(probability: npt.ArrayLike) -> Floats:
    """Return ln(p / (1 - p)), held within +-LARGEST_LOGIT."""
    with np.errstate(divide="ignore"):
        odds = np.log(probability) - np.log1p(-np.asarray(probability, dtype=np.float64))
    return np.clip(odds, -LARGEST_LOGIT, LARGEST_LOGIT)


def sigmoid(x: npt.ArrayLike) -> Floats:
    """Return 1 / (1 + exp(-x))."""
    return np.exp(-np.logaddexp(0.0, -np.asarray(x, dtype=np.float64)))


def features(q_T: npt.ArrayLike, rate_T: npt.ArrayLike) -> Floats:
    """Return what the weights multiply, (F, T): 1, logit of the model's probability, logit of the rate."""
    logit_q_T = logit(q_T)
    return np.stack(
        [np.ones_like(logit_q_T), logit_q_T, np.broadcast_to(logit(rate_T), logit_q_T.shape)]
    )


def mixed_logit(q_T: npt.ArrayLike, rate_T: npt.ArrayLike, weight_F: npt.ArrayLike) -> Floats:
    """Return the logit of the hint's new probability, within +-LARGEST_LOGIT."""
    raw_T = np.asarray(weight_F, dtype=np.float64) @ features(q_T, rate_T)
    return np.clip(raw_T, -LARGEST_LOGIT, LARGEST_LOGIT)


def mix_nats(
    nats_T: Floats, target_T: Tokens, hints: Hints, log_q_T: Floats, weight_F: npt.ArrayLike
) -> Floats:
    """Return the nats of the targets after mixing, from the model's, in closed form.

    `log_q_T` is the model's log-probability of the hint (anything where there is none). Each answer is minus
    the logarithm of the target's entry in `mix_row`. Nats are >= 0.
    """
    q_T, active_T = _active(hints.token_T, log_q_T)
    mixed_T = mixed_logit(q_T, hints.rate_T, weight_F)
    hit_T = np.logaddexp(0.0, -mixed_T)
    miss_T = nats_T + np.logaddexp(0.0, mixed_T) + np.log1p(-np.where(active_T, q_T, 0.0))
    changed_T = np.where(target_T == hints.token_T, hit_T, miss_T)
    return np.maximum(np.where(active_T, changed_T, nats_T), 0.0)


def mix_row(logp_V: Floats, hint: int, rate: float, weight_F: npt.ArrayLike) -> Floats:
    """Return the log-probabilities of one position after mixing.

    `logp_V` is a normalised row, -inf allowed; so is the result, to 1e-12 in its sum.
    """
    log_q = logp_V[hint] if hint != NO_HINT else 0.0
    q, active = _active(np.asarray(hint), np.asarray(log_q))
    if not active:
        return logp_V
    mixed = float(mixed_logit(q, rate, weight_F))
    row_V = logp_V - np.logaddexp(0.0, mixed) - np.log1p(-q)
    row_V[hint] = -np.logaddexp(0.0, -mixed)
    return row_V


def _active(token_T: Tokens, log_q_T: Floats) -> tuple[Floats, Flags]:
    q_T = np.exp(np.minimum(log_q_T, 0.0))
    active_T = (token_T != NO_HINT) & (q_T <= 1.0 - SURE)
    return np.where(active_T, q_T, 0.5), active_T


def fit_weights(
    q_T: Floats, rate_T: Floats, right_T: Flags, strength: float = 20.0, rounds: int = 50
) -> tuple[float, ...]:
    """Return the weights that make the mixed probability of a hint best predict that it comes true.

    Logistic regression by Newton's method with step halving, and a quadratic pull of `strength` towards
    NEUTRAL: without evidence the mixer does nothing. Source: Hastie, Tibshirani and Friedman, "The Elements
    of Statistical Learning", section 4.4.1.
    """
    x_FT = features(q_T, rate_T)
    sign_T = np.where(right_T, -1.0, 1.0)

    def cost(weight_F: Floats) -> float:
        pull = 0.5 * strength * float(np.square(weight_F - NEUTRAL).sum())
        return float(np.logaddexp(0.0, sign_T * (weight_F @ x_FT)).sum()) + pull

    weight_F = np.array(NEUTRAL)
    best = cost(weight_F)
    for _ in range(rounds):
        p_T = sigmoid(weight_F @ x_FT)
        slope_F = x_FT @ (p_T - right_T) + strength * (weight_F - NEUTRAL)
        curve_FF = (x_FT * (p_T * (1.0 - p_T))) @ x_FT.T + strength * np.eye(len(weight_F))
        move_F = np.linalg.solve(curve_FF, slope_F)
        while (reached := cost(weight_F - move_F)) > best and np.abs(move_F).max() > 1e-9:
            move_F = 0.5 * move_F
        if reached >= best or np.abs(move_F).max() <= 1e-9:
            break
        weight_F, best = weight_F - move_F, reached
    return tuple(float(weight) for weight in weight_F)
