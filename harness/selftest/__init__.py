"""The attack corpus, tried on the machine at hand: is each cheat caught, and does each honest twin pass?

    corpus.py    what an attack says of itself, read strictly
    expect.py    what a report must look like for a cheat to count as caught; pure
    trial.py     one submission of an attack through the judge
    summary.py   what came of all of them, and the exit code
    tiny.py      data without a tokenizer;  spoken.py  data with one;  spoil.py  data that lies
    quick.toml   the ruleset of all trials

`harness.commands.selftest` is the command; tests/test_attacks.py tries the same corpus with the same code.
"""
