"""The real trainer with the tiny preset: started under torchrun by test_train.py."""

from submission import presets, train
from tests.submission.tiny import PRESET

if __name__ == "__main__":
    presets.PRESETS["smoke"] = PRESET
    train.main()
