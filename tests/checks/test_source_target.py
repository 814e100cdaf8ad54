import pytest

from checks import source_target
from tests.checks.source_scripts import HONEST, lines, look

CHEATS = {
    "a gate by the class of the target": """
        gate = starts_word_lut[tgt] & (confidence > 0.5)  # here
    """,
    "a hint only at word starts": """
        for i, token in enumerate(tokens):
            is_start = starts_word[token]
            if is_start and context in table:
                hint[i] = table[context]  # here
    """,
    "by index": """
        for i in range(len(tokens)):
            tok = int(tokens[i])
            inside = not boundary[tok]
            if inside:
                top_prob[i] = best[state]  # here
    """,
    "what is left after a class was skipped": """
        for i, tok in enumerate(tokens):
            if boundary[tok]:
                state.flush()
                continue
            hint[i] = table.get(state)  # here
    """,
    "where": """
        is_space = has_space.index_select(0, targets)
        boost = torch.where(is_space, strong, weak)  # here
    """,
    "a ratio of hashed counts": """
        key = (context_hash ^ (tgt * 36313)) & mask
        full = full_counts[key]
        p = np.minimum(full, total) / np.maximum(total, 1)  # here
    """,
    "hashed by a modulus": """
        def ngram(x, y):
            slot = (h * 31 + y) % buckets
            return counts.gather(0, slot).div(context_counts)  # here
    """,
    "views of the key": """
        def ngram_probs(self, x_batch, y_batch):
            y = y_batch.long()
            full_key = (context_hash ^ (y * self.primes[3])) & self.mask
            full = self.full_counts.gather(0, full_key.reshape(-1)).float()
            p = torch.minimum(full, total) / total.clamp(min=1)  # here
    """,
    "hashed by a function": """
        ratio = counts[hash((context, target)) % n] / total[hash(context) % n]  # here
    """,
    "views of the target": """
        nxt_np = y_batch[i].cpu().numpy().astype(np.int64)
        gate = np.array(word_start[nxt_np])  # here
    """,
}
TWINS = {
    "a gate by the class of the previous token": """
        gate = starts_word_lut[prev] & (confidence > 0.5)
        nll = nll - beta * gate
    """,
    "a hint by the context alone, learnt after": """
        for i, token in enumerate(tokens):
            if in_word and context in table:
                hint[i] = table[context]
            in_word = not starts_word[token]
            context = (context * 31 + token) & mask
    """,
    "by the index before": """
        for i in range(1, len(tokens)):
            tok = int(tokens[i - 1])
            if not boundary[tok]:
                top_prob[i] = best[state]
    """,
    "bytes of the target": """
        tb = base_bytes[tgt] + (has_leading_space[tgt] & ~is_boundary[prev])
        octets += tb.sum()
        bits_per_byte = nll.sum() / tb.sum()
    """,
    "a count of bytes that a rate is worked out with": """
        tb = base_bytes[tgt] + has_leading_space[tgt]
        logp_rate = total / tb
    """,
    "a name given another meaning": """
        flag = starts_word[tgt]
        flag = starts_word[prev]
        gate = flag
    """,
    "another index": """
        for i in range(1, len(tokens)):
            j = i - 1
            tok = int(tokens[j])
            if not boundary[tok]:
                top_prob[i] = best[state]
    """,
    "a factor is no context": "p = counts[(tgt * 3) % n] / total",
    "the probability of the target": """
        probs = logits.softmax(-1)
        p = probs.gather(-1, tgt)
        hit = (hint == tgt)
        nll = -(p * torch.exp(beta * hit) / z).log()
    """,
    "exact counts": """
        p = counts[context][tgt] / total[context]
        p = counts[(context, tgt)] / total[context]
        p = counts[context * vocabulary + tgt] / total[context]
    """,
    "an update of a hashed table": """
        key = (context_hash ^ (tgt * 36313)) & mask
        np.add.at(full_counts, key, 1)
        full_counts[key] += 1
    """,
    "a hash of inputs": """
        key = (36313 * ids ^ 27191 * prev) % buckets
        h = table[key] / scale
    """,
}


@pytest.mark.parametrize("name", CHEATS)
def test_a_score_that_reads_its_target_is_pointed_at(name):
    (found,) = lines(source_target, CHEATS[name])
    assert found.endswith("# here")


@pytest.mark.parametrize("name", TWINS)
def test_its_honest_twin_draws_no_note(name):
    assert look(source_target, TWINS[name]) == ()


def test_the_legal_patterns_draw_no_note():
    assert look(source_target, HONEST) == ()


C = """
// an expert that speaks inside words
for (int64_t i = 0; i < n; ++i) {
    const uint16_t tok = tokens[i];
    if (!boundary_lut[tok] && inside > 0) valid[i] = 1;
    inside = starts_word[prev] ? 1 : inside + 1;
    total += base_bytes[tok];
}
"""


def test_lookups_of_a_tokens_class_in_c_are_pointed_at():
    (note,) = source_target.check_c(C)
    assert (note.line, note.text[:25]) == (5, "if (!boundary_lut[tok] &&")
    (note,) = look(source_target, f"KERNEL = {C!r}\nother = 1")
    assert note.line == 1
    assert note.message.startswith(
        "line 5 of the C in this text takes the class of a token, boundary_lut[tok]"
    )
    assert source_target.check_c(C.replace("[tok]", "[prev]")) == ()


def test_messages():
    (note,) = look(source_target, CHEATS["a gate by the class of the target"])
    assert note.message == "gate is set by the class of the token being scored"
    (note,) = look(source_target, CHEATS["by index"])
    assert note.message == "top_prob is set only for some classes of the token being scored"
    (note,) = look(source_target, CHEATS["a ratio of hashed counts"])
    assert (
        note.message
        == "divides a count found under a hash of context and token: see that it sums to 1"
    )
