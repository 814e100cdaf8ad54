"""Types of the compiled state; native/ngram.h has the contract, native/counts.py what to call."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

class Ngram:
    def __init__(
        self,
        contexts: Sequence[tuple[int, int, int]],
        kind_V: npt.NDArray[np.uint8],
        hash_V3: npt.NDArray[np.uint64],
        power_V3: npt.NDArray[np.uint64],
        block_tokens: int,
        hint_XT: npt.NDArray[np.int32],
        rate_XT: npt.NDArray[np.float32],
        counts_CT: npt.NDArray[np.uint64],
        open_T: npt.NDArray[np.uint8],
        /,
    ) -> None: ...
    def look(self, token_T: npt.NDArray[np.uint16], /) -> None: ...
    def accept(self, token_T: npt.NDArray[np.uint16], /) -> None: ...
    def save(self) -> bytes: ...
    def load(self, saved: bytes, /) -> None: ...
    @property
    def accepted(self) -> int: ...
    @property
    def table_bytes(self) -> int: ...
    @property
    def contexts(self) -> list[int]: ...
    @property
    def given_up(self) -> list[int]: ...
