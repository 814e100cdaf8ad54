"""Scripts for the `source` checks: an honest one of every legal pattern, and a way to look at fragments."""

import textwrap

from checks import source_note

HONEST = '''
"""One script with the patterns that are legal although they look odd."""
import math
import os
import subprocess
import time

import numpy as np
import torch
import torch.distributed as dist
import torch.nn.functional as F


class Settings:
    train_files = os.environ.get("TRAIN_FILES", "data/fineweb_train_*.bin")
    val_files = os.environ.get("VAL_FILES", "data/fineweb_val_*.bin")
    ttt_epochs = int(os.environ.get("TTT_EPOCHS", "3"))
    warmup_steps = 20
    max_seconds = 600.0


def load_tokens(pattern):
    return torch.from_numpy(np.fromfile(pattern, dtype=np.uint16).astype(np.int64))


def byte_count(tgt, prev, base_bytes_lut, has_leading_space_lut, is_boundary_token_lut):
    token_bytes = base_bytes_lut[tgt].to(torch.int16)
    token_bytes += (has_leading_space_lut[tgt] & ~is_boundary_token_lut[prev]).to(torch.int16)
    return token_bytes.double().sum()


def eval_val(args, model, val_tokens, luts):
    """Sliding windows: each counts its last positions."""
    loss_sum = torch.zeros((), dtype=torch.float64)
    counted, octets = 0, 0.0
    with torch.inference_mode():
        for start in range(0, val_tokens.numel() - 1, 64):
            window = val_tokens[start : start + 1025]
            x, y = window[:-1], window[1:]
            nll = F.cross_entropy(model(x), y, reduction="none")
            loss_sum += nll[-64:].double().sum()
            counted += 64
            octets += byte_count(y[-64:], x[-64:], *luts)
    return loss_sum / counted / math.log(2) * counted / octets


def eval_val_ttt(args, model, val_tokens, luts):
    """Score first: a chunk is counted without gradients, then learnt."""
    optimiser = torch.optim.SGD(model.parameters(), lr=0.01)
    loss_sum, counted = 0.0, 0
    for first in range(0, val_tokens.numel() - 1, 32768):
        chunk = val_tokens[first : first + 32769]
        with torch.no_grad():
            for x, y in windows(chunk):
                nll = F.cross_entropy(model(x), y, reduction="none")
                loss_sum += nll.sum().item()
                counted += y.numel()
        for epoch in range(args.ttt_epochs):
            for x, y in windows(chunk):
                loss = F.cross_entropy(model(x), y)
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
    return loss_sum / counted


def eval_val_lora(args, model, val_tokens):
    """Per document: each chunk is recorded, then one step; the adapter starts anew."""
    total_nll = 0.0
    for document in documents(val_tokens):
        adapter = torch.zeros(8, requires_grad=True)
        optimiser = torch.optim.Adam([adapter])
        for x, y in windows(document):
            per_token = model(x, y, adapter)
            total_nll += per_token.detach().sum()
            per_token.mean().backward()
            optimiser.step()
    return total_nll


def adapt_on_scored(args, model, val_tokens):
    for epoch in range(args.ttt_epochs):
        for x, y in windows(val_tokens):
            F.cross_entropy(model(x), y).backward()


def eval_val_phased(args, model, val_tokens):
    """After some documents, the ranks train the base on those that were scored."""
    nats = 0.0
    pending = []
    for document in documents(val_tokens):
        with torch.no_grad():
            nats += model(document).sum()
        pending.append(document)
        if len(pending) == 2000:
            adapt_on_scored(args, model, torch.cat(pending))
            pending = []
    return nats


def eval_first_epoch_counts(args, model, val_tokens):
    loss_sum = 0.0
    for chunk in windows(val_tokens):
        for epoch in range(args.ttt_epochs):
            loss = model(chunk)
            if epoch == 0:
                loss_sum += loss.item()
            loss.backward()
    return loss_sum


def hints(tokens, order=4):
    """Prefix only: the table is read before it is updated."""
    table, hint, confidence = {}, np.zeros(len(tokens), np.int64), np.zeros(len(tokens))
    context = (0,) * order
    for i, token in enumerate(tokens):
        row = table.get(context)
        if row:
            best = max(row, key=row.get)
            hint[i], confidence[i] = best, row[best] / sum(row.values())
        table.setdefault(context, {})
        table[context][token] = table[context].get(token, 0) + 1
        context = (*context[1:], int(token))
    return hint, confidence


def tilt(log_probs, tgt, hint, beta):
    """One hint, the same normaliser for every target."""
    q = log_probs.gather(-1, hint.unsqueeze(-1)).squeeze(-1).exp()
    hit = (tgt == hint).float()
    log_z = torch.log1p(q * (torch.exp(beta) - 1))
    return -log_probs.gather(-1, tgt.unsqueeze(-1)).squeeze(-1) - beta * hit + log_z


def exact_counts(counts, context, tgt, vocabulary):
    """Counts of one context sum to 1 over the vocabulary."""
    row = counts[context] + 1.0 / vocabulary
    probs = row / row.sum()
    return probs[tgt]


class Bigram(torch.nn.Module):
    def forward(self, input_ids):
        previous = F.pad(input_ids[:, :-1], (1, 0))
        key = torch.bitwise_xor(36313 * input_ids, 27191 * previous) % self.buckets
        return self.embedding(key)


def collect_hessians(model, train_loader, steps):
    for _ in range(steps):
        x, y = train_loader.next_batch()
        model(x)
    return model.hessians


def train_model(args, model, val_tokens, luts):
    train_loader = Loader(args.train_files)
    optimiser = torch.optim.AdamW(model.parameters())
    start_state = {k: v.clone() for k, v in model.state_dict().items()}
    for warmup_step in range(args.warmup_steps):
        x, y = train_loader.next_batch()
        model(x, y).backward()
    model.load_state_dict(start_state)
    train_loader = Loader(args.train_files)
    training_time_ms = 0.0
    torch.cuda.synchronize()
    t0 = time.perf_counter()
    max_wallclock_ms = 1000.0 * args.max_seconds
    max_wallclock_ms -= 8000.0
    step = 0
    while True:
        if step % 1000 == 0:
            torch.cuda.synchronize()
            training_time_ms += 1000.0 * (time.perf_counter() - t0)
            val_loss = eval_val(args, model, val_tokens, luts)
            print(step, float(val_loss), training_time_ms)
            t0 = time.perf_counter()
        x, y = train_loader.next_batch()
        loss = model(x, y)
        loss.backward()
        optimiser.step()
        step += 1
        elapsed_ms = training_time_ms + 1000.0 * (time.perf_counter() - t0)
        if elapsed_ms >= max_wallclock_ms:
            return model


def main():
    args = Settings()
    dist.init_process_group("nccl")
    print(subprocess.run(["nvidia-smi"], capture_output=True, text=True).stdout)
    model = torch.compile(GPT(args))
    val_tokens = load_tokens(args.val_files)
    luts = load_luts(args)
    train_model(args, model, val_tokens, luts)
    collect_hessians(model, Loader(args.train_files), 64)
    quantise(model)
    eval_val(args, model, val_tokens, luts)
    t_eval = time.perf_counter()
    eval_val_ttt(args, model, val_tokens, luts)
    eval_val_lora(args, model, val_tokens)
    eval_val_phased(args, model, val_tokens)
    eval_first_epoch_counts(args, model, val_tokens)
    eval_time = time.perf_counter() - t_eval
    print(eval_time)


if __name__ == "__main__":
    main()
'''


def look(check, fragment):
    """Return the notes of one check on a fragment, which may be indented."""
    source = source_note.read(textwrap.dedent(fragment))
    assert not isinstance(source, str), source
    return check.check(source)


def lines(check, fragment):
    """Return the lines that one check points at, their text stripped."""
    return [note.text for note in look(check, fragment)]
