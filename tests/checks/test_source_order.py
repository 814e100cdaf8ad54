import pytest

from checks import source_order
from tests.checks.source_scripts import HONEST, lines, look

EPOCHS_THEN_EVALUATION = """
    def adapt(args, model, val_tokens):
        optimiser = torch.optim.AdamW(model.parameters())
        for epoch in range(args.epochs):
            epoch_loss = 0.0
            for first in range(0, val_tokens.numel(), 1024):
                local = val_tokens[first : first + 1025]
                x, y = local[:-1], local[1:]
                loss = F.cross_entropy(model(x), y)
                loss.backward()
                optimiser.step()
                epoch_loss += loss.item()

    def main():
        val_tokens = load(args.val_files)
        train(model)
        adapt(args, model, val_tokens)  # here
        quantise(model)
        eval_val(args, model, val_tokens)
"""
ONE_FUNCTION = """
    def eval_val(model, val_tokens):
        for x, y in windows(val_tokens):
            loss = model(x, y)
            loss.backward()  # here
            optimiser.step()
        loss_sum = 0.0
        with torch.no_grad():
            for x, y in windows(val_tokens):
                loss_sum += model(x, y).item()
        return loss_sum
"""
SLOT = """
    def eval_slot(model, val_tokens):
        nll_sum = 0.0
        for first in range(0, val_tokens.numel(), 64):
            x = val_tokens[first : first + 1024]
            y = val_tokens[first + 1 : first + 1025]
            hidden = model.hidden(x)
            delta = torch.zeros(512, requires_grad=True)
            for step in range(8):
                F.cross_entropy(model.head(hidden + delta), y).backward()  # here
                optimiser.step()
            with torch.no_grad():
                nll = F.cross_entropy(model.head(hidden + delta), y, reduction="none")
            nll_sum += nll[-64:].sum()
        return nll_sum
"""
LATER_EPOCHS_KEPT = """
    def eval_lora(args, model, val_tokens):
        for epoch in range(args.ttt_epochs):
            loss_sum = 0.0
            for x, y in windows(val_tokens):
                loss = model(x, y)
                loss_sum += loss.item()  # here
                loss.backward()
        return loss_sum
"""
SCORE_TRAIN_SCORE = """
    eval_val(model, val_tokens)
    for x, y in windows(val_tokens):
        model(x, y).backward()  # here
    print(eval_val(model, val_tokens))
"""
HELPER = """
    def fit_bias(hidden, labels):
        bias = torch.zeros(1024, requires_grad=True)
        loss = F.cross_entropy(hidden + bias, labels)
        gradient = torch.autograd.grad(loss, bias)[0]
        return bias - gradient

    def eval_biased(model, val_tokens):
        losses = []
        for x, y in windows(val_tokens):
            bias = fit_bias(model(x), y)  # here
            losses.append(F.cross_entropy(model(x) + bias, y))
        return sum(losses)
"""
FILLED = """
    def eval_slot(model, val_tokens):
        loss_sum = torch.zeros(())
        for batch in starts:
            x_batch = torch.zeros(8, 1024)
            for i, first in enumerate(batch):
                x_batch[i, :1024] = val_tokens[first : first + 1024]
            for step in range(8):
                model(x_batch).backward()  # here
            loss_sum += model(x_batch)
"""
CHEATS = {
    "epochs, then evaluation": EPOCHS_THEN_EVALUATION,
    "one function": ONE_FUNCTION,
    "SLOT": SLOT,
    "later epochs kept": LATER_EPOCHS_KEPT,
    "score, train, score": SCORE_TRAIN_SCORE,
    "a helper that knows no names": HELPER,
    "a batch that is filled": FILLED,
}
# The nearest legal thing, by the same name.
TWINS = {
    "epochs, then evaluation": EPOCHS_THEN_EVALUATION.replace(
        "val_tokens)  # here", "train_tokens)"
    )
    .replace("model, val_tokens):\n        optimiser", "model, train_tokens):\n        optimiser")
    .replace("val_tokens.numel(), 1024", "train_tokens.numel(), 1024")
    .replace("val_tokens[first : first + 1025]", "train_tokens[first : first + 1025]"),
    "one function": """
        def eval_val(model, val_tokens):
            loss_sum = 0.0
            for x, y in windows(val_tokens):
                with torch.no_grad():
                    loss_sum += model(x, y).item()
                model(x, y).backward()
                optimiser.step()
            return loss_sum
    """,
    "SLOT": """
        def eval_slot(model, val_tokens):
            nll_sum = 0.0
            for x, y in windows(val_tokens):
                hidden = model.hidden(x)
                with torch.no_grad():
                    nll_sum += F.cross_entropy(model.head(hidden + delta), y)
                for step in range(8):
                    F.cross_entropy(model.head(hidden + delta), y).backward()
                    optimiser.step()
            return nll_sum
    """,
    "later epochs kept": """
        def eval_lora(args, model, val_tokens):
            loss_sum = 0.0
            for epoch in range(args.ttt_epochs):
                for x, y in windows(val_tokens):
                    loss = model(x, y)
                    if epoch == 0 and x is not None:
                        loss_sum += loss.item()
                    loss.backward()
            return loss_sum
    """,
    "score, train, score": """
        eval_val(model, val_tokens)
        start = copy(model.state_dict())
        for x, y in windows(val_tokens):
            model(x, y).backward()
        model.load_state_dict(start)
        print(eval_val(model, val_tokens))
    """,
    "a batch that is filled": FILLED.replace("[first : first + 1024]", "[0:0]").replace(
        "val_tokens[0:0]", "train_tokens[first : first + 1024]"
    ),
    "a helper that knows no names": """
        def fit_bias(hidden, labels):
            loss = F.cross_entropy(hidden, labels)
            return torch.autograd.grad(loss, bias)[0]

        def eval_biased(model, val_tokens):
            losses = []
            for x, y in windows(val_tokens):
                losses.append(F.cross_entropy(model(x) + bias, y))
                bias = fit_bias(model(x), y)
            return sum(losses)
    """,
}


@pytest.mark.parametrize("name", CHEATS)
def test_a_score_after_adapting_is_pointed_at(name):
    (found,) = lines(source_order, CHEATS[name])
    assert found.endswith("# here")


@pytest.mark.parametrize("name", TWINS)
def test_its_honest_twin_draws_no_note(name):
    assert look(source_order, TWINS[name]) == ()


def test_the_legal_patterns_draw_no_note():
    assert look(source_order, HONEST) == ()


def test_the_note_names_the_loss_that_is_counted():
    (note,) = look(source_order, ONE_FUNCTION)
    assert note.message == "adapts on validation tokens before the loss that line 10 counts"
    (note,) = look(source_order, LATER_EPOCHS_KEPT)
    assert note.message == "counts a loss inside a loop over epochs that adapts (line 8)"


def test_a_warm_up_on_validation_tokens_whose_weights_are_thrown_away_draws_no_note():
    warm = """
        for warmup_step in range(3):
            for x, y in windows(val_tokens):
                model(x, y).backward()
        eval_val(model, val_tokens)
    """
    assert look(source_order, warm) == ()
    assert len(look(source_order, warm.replace("warmup_step", "step"))) == 1
    restored = ONE_FUNCTION.replace(
        "        loss_sum = 0.0\n", "        model.load_state_dict(saved)\n        loss_sum = 0.0\n"
    )
    assert look(source_order, restored) == ()
    best = ONE_FUNCTION.replace(
        "        loss_sum = 0.0\n",
        "        model.load_state_dict(best_state)\n        loss_sum = 0.0\n",
    )
    assert len(look(source_order, best)) == 1


def test_adapting_on_the_chunk_before_is_score_first_too():
    assert (
        look(
            source_order,
            """
            def eval_val(model, val_tokens):
                previous = None
                for x in windows(val_tokens):
                    if previous is not None:
                        model(previous).backward()
                    with torch.no_grad():
                        loss_sum += model(x)
                    previous = x
            """,
        )
        == ()
    )


LEGAL = {
    "what is left over is scored after the loop": """
        def eval_val(model, val_tokens):
            for chunk in windows(val_tokens):
                loss_sum += model(chunk).detach()
                model(chunk).backward()
            loss_sum += model(rest(val_tokens))
    """,
    "a name that holds training data by then": """
        x = val_tokens[:10]
        x = train_loader.next_batch()
        model(x).backward()
        eval_val(model, val_tokens)
    """,
    "what was scored already": """
        scored = val_tokens[:n]
        model(scored).backward()
        eval_val(model, val_tokens)
    """,
    "no score after it": """
        eval_val(model, val_tokens)
        model(val_tokens).backward()
    """,
}


@pytest.mark.parametrize("name", LEGAL)
def test_more_that_draws_no_note(name):
    assert look(source_order, LEGAL[name]) == ()


def test_a_score_in_every_epoch_does_not_make_it_score_first():
    cheat = """
        for epoch in range(3):
            eval_val(model, val_tokens)  # one
            model(val_tokens).backward()  # two
        eval_val(model, val_tokens)
    """
    assert [line[-5:] for line in lines(source_order, cheat)] == ["# one", "# two"]
