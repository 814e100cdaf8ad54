"""When training ends, and how fast it goes until then: by steps, or by the judge's clock if that is first.

Does not read a clock: whoever trains says what it showed.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(kw_only=True, slots=True, frozen=True)
class Schedule:
    """Training ends after `steps` steps, or earlier if the clock leaves time for fewer."""

    steps: int
    """Steps to make if there is time for them; a number out of reach leaves it to the clock."""
    warmdown: float
    """Share of all steps, 0 exclusive to 1, over which the learning rate falls linearly to 0 at the end."""

    def __post_init__(self) -> None:
        """Refuse shares that are none."""
        if not 0.0 < self.warmdown <= 1.0 or self.steps < 1:
            raise ValueError(f"schedule {self} does not fit; warmdown is in (0, 1], steps >= 1")

    def remaining(self, step: int, elapsed_s: float, remaining_s: float) -> float:
        """Return how many steps are left after `step` of them took `elapsed_s`; below 1 means stop.

        On a machine that is fast enough this is steps - step and the clock leaves no trace.
        """
        by_count = float(self.steps - step)
        if step == 0 or elapsed_s <= 0.0:
            return by_count if remaining_s > 0.0 else 0.0
        return min(by_count, remaining_s * step / elapsed_s)

    def factor(self, step: int, remaining: float) -> float:
        """Return the multiple of the base rates, 0..1, after `step` steps with `remaining` to go."""
        return max(0.0, min(1.0, remaining / (self.warmdown * (step + remaining + 1e-9))))


def momentum(step: int, first: float, last: float, warmup_steps: int) -> float:
    """Return the momentum of step `step`: from `first` to `last`, linearly over `warmup_steps`."""
    return first + min(1.0, step / max(1, warmup_steps)) * (last - first)
