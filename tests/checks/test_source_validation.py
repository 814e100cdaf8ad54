import pytest

from checks import source_validation
from tests.checks.source_scripts import HONEST, lines, look

CHEATS = {
    "a loader": "train_loader = Loader(args.val_files, rank)  # here",
    "a loader by its name": "loader = make_train_loader(args.val_files)  # here",
    "a pattern": "train_stream = TokenStream('data/fineweb_val_*.bin')  # here",
    "files": "train_files = val_files  # here",
    "Hessians": "hessians = collect_hessians(model, val_data.val_tokens)  # here",
    "Hessians by keyword": "quantize_gptq(model, calibration=val_tokens[:100])  # here",
    "a calibration": """
        def calibrate(model):
            for first in range(0, val_tokens.numel(), 1024):
                model(val_tokens[first : first + 1024])  # here
    """,
    "a training function": """
        def train_step(model, val_tokens):
            x = val_tokens[:1024]  # here
            model(x).backward()
    """,
    "a training function by methods": """
        def pretrain(model):
            for x in val_tokens.split(1024):  # here
                model(x).backward()
    """,
    "documents": "parser.add_argument('--num-val-docs', type=int, default=10_000)  # here",
    "documents from the environment": "VAL_DOCS = int(os.environ.get('VAL_DOCS', '10000'))  # here",
}
TWINS = {
    "loaders": """
        train_loader = Loader(args.train_files)
        val_loader = Loader(args.val_files)
        train_data, val_data = split(args.train_files), load(args.val_files)
    """,
    "Hessians of training data": "hessians = collect_hessians(model, train_loader, val_loss_every)",
    "a training function that evaluates": """
        def train(args, model, val_data):
            val_tokens = load_validation_tokens(args.val_files)
            log(f"{val_tokens.numel()} tokens")
            if val_data is not None:
                val_loss = eval_val(args, model, val_tokens)
            with torch.no_grad():
                for x in val_tokens.split(1024):
                    loss = model(x)
            x, y = train_loader.next_batch()
            model(x, y).backward()
    """,
    "numbers of a training function": """
        def train_step(args, model):
            n = val_tokens.numel() + val_tokens.shape[0] + len(val_tokens)
            data = ValidationData(args)
            if val_tokens is None:
                n = 0
    """,
    "an evaluation of a calibration": "eval_hessian_error(model, val_tokens)",
    "both in one": "def train_and_eval(model):\n    x = val_tokens[0]",
    "test-time training": """
        def train_val_ttt_global(args, model, val_tokens):
            for x in val_tokens.split(1024):
                model(x).backward()
    """,
    "a helper of an evaluation": """
        def eval_ttt(model, val_tokens):
            def train_window(first):
                x = val_tokens[first : first + 1024]
                model(x).backward()
    """,
    "a setting": "train_loader = Loader(args.train_files, args.val_batch_size)",
    "all documents": "VAL_DOCS = 50_000\nval_docs_per_batch = 64",
    "valid positions": "def train_step(x):\n    valid_tokens = mask.sum()\n    x = x / valid_tokens",
}


@pytest.mark.parametrize("name", CHEATS)
def test_validation_data_in_training_is_pointed_at(name):
    (found,) = lines(source_validation, CHEATS[name])
    assert found.endswith("# here")


@pytest.mark.parametrize("name", TWINS)
def test_its_honest_twin_draws_no_note(name):
    assert look(source_validation, TWINS[name]) == ()


def test_the_legal_patterns_draw_no_note():
    assert look(source_validation, HONEST) == ()


def test_messages():
    (note,) = look(source_validation, CHEATS["a loader"])
    assert note.message == "train_loader is made of val_files: validation data in training"
    (note,) = look(source_validation, CHEATS["documents"])
    assert note.message == "--num-val-docs is 10,000: the validation split has 50,000 documents"
