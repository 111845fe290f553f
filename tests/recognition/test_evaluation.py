"""Protocols on a trained network, from files to tables."""

from dataclasses import replace

import numpy as np
import pytest

from foundation.errors import PortraitError
from recognition.evaluation import evaluate, evaluate_poses
from recognition.folder import read_folder
from recognition.model import embed_files, load_embedder
from recognition.protocols import PROTOCOLS, Protocol, make_pairs
from recognition.results import compare, read_results, write_results
from recognition.settings import Evaluation, read_experiment


def test_embedding_marks_what_it_can_not_read(people, trained, tmp_path):
    embedder, _ = load_embedder(trained[1].weights)
    files = [*read_folder(people).paths[:3], tmp_path / "gone.png"]
    one, many = embed_files(embedder, files, batch=1), embed_files(embedder, files, batch=4)
    assert one.unreadable == many.unreadable == (3,) and np.isnan(one.features[3]).all()
    np.testing.assert_allclose(one.features[:3], many.features[:3], rtol=1e-3, atol=1e-4)
    mirrored = embed_files(embedder, files[:1]).features[0]
    assert mirrored.shape == (32,) and not np.allclose(mirrored[:16], mirrored[16:])


def test_a_protocol_is_a_reader_with_a_name(people, trained, tmp_path):
    folder = read_folder(people)

    def read(root, pairs):
        couples = [(8 * p, (8 * p + step) % 96, step == 1, p % 3) for p in range(12) for step in (1, 8)]
        rows = [(folder.paths[a], folder.paths[b], same, fold) for a, b, same, fold in couples]
        return make_pairs(rows, str(pairs), "made here", lambda file: file.parent.name)

    PROTOCOLS.add("toy", Protocol(read, ("pairs",)))
    try:
        (tmp_path / "toy.toml").write_text(
            f'[data]\nfolder = "{people}"\n[[evaluate]]\nprotocol = "toy"\nfolder = ""\npairs = "none"\n'
        )
        embedder, _ = load_embedder(trained[1].weights)
        (result,) = evaluate(embedder, read_experiment(tmp_path / "toy.toml").evaluate[0], tmp_path)
    finally:
        PROTOCOLS.remove("toy")
    assert (result.protocol, result.pairs, len(result.accuracies)) == ("toy", 24, 3) and result.accuracy > 0.8


def test_a_protocol_counts_pairs_it_left_out(people, trained, tmp_path):
    folder = read_folder(people)
    (tmp_path / "bad.png").write_text("broken")
    same = [(folder.paths[8 * p], folder.paths[8 * p + 1], 1, p % 3) for p in range(12)]
    different = [(folder.paths[8 * p], folder.paths[(8 * p + 8) % 96], 0, p % 3) for p in range(12)]
    rows = [*same, *different, (tmp_path / "bad.png", folder.paths[0], 1, 0)]
    lines = ["file_a,file_b,same,fold", *(f"{a},{b},{s},{f}" for a, b, s, f in rows)]
    (tmp_path / "pairs.csv").write_text("\n".join(lines))
    embedder, _ = load_embedder(trained[1].weights)
    (result,) = evaluate(embedder, Evaluation("pairs", "", pairs="pairs.csv", name="mine"), tmp_path)
    assert (result.protocol, result.pairs, result.left_out) == ("mine", 24, 1)
    assert result.unreadable == (str(tmp_path / "bad.png"),)
    assert result.accuracy > 0.8 and len(result.accuracies) == 3 and np.isnan(result.tar[0.01])
    with pytest.raises(PortraitError, match="mine: needs 'pairs'"):
        evaluate(embedder, Evaluation("pairs", "", name="mine"), tmp_path)


def test_ijb_templates_are_compared_and_lost_ones_counted(people, trained, tmp_path):
    folder = read_folder(people)
    lines = [f"{f} {folder.labels[k] * 2 + k % 2} {k}" for k, f in enumerate(folder.files)]
    (people / ".." / "lost.png").resolve().write_text("broken")
    lines += ["../lost.png 900 1"]
    (tmp_path / "templates.txt").write_text("\n".join(lines))
    pairs = [f"{2 * a} {2 * b + 1} {int(a == b)}" for a in range(12) for b in range(12)] + ["0 900 0"]
    (tmp_path / "pairs.txt").write_text("\n".join(pairs))
    embedder, _ = load_embedder(trained[1].weights)
    wanted = Evaluation("ijb", str(people), pairs="pairs.txt", templates="templates.txt")
    (result,) = evaluate(embedder, wanted, tmp_path)
    assert (result.pairs, result.left_out) == (144, 1) and result.auc > 0.9
    assert result.tar[0.1] > 0.5 and result.tar[0.01] >= 0 and np.isnan(result.tar[1e-3])


def test_results_come_back_as_they_were_written_and_gains_are_paired(people, trained, tmp_path):
    embedder, _ = load_embedder(trained[1].weights)
    rows = evaluate_poses(embedder, read_folder(people), "poses")
    write_results(tmp_path, {0: rows, 4: rows})
    again = read_results(tmp_path)
    assert list(again) == [0, 4] and [r.protocol for r in again[4]] == [r.protocol for r in rows]
    assert again[0][1].eer == pytest.approx(rows[1].eer, abs=1e-6)
    np.testing.assert_array_equal(again[0][1].curve, rows[1].curve)
    better = [replace(r, accuracies=tuple(a + 0.01 + 0.001 * k for k, a in enumerate(r.accuracies))) for r in rows]
    table = compare({"base": {0: rows}, "new": {0: better, 1: better}})
    mine = next(t for t in table if t.run == "new" and t.protocol == rows[0].protocol)
    assert mine.seeds == 2 and mine.over_seeds == 0 and mine.gain == pytest.approx(0.0125)
    assert 0 < mine.gain_interval < 0.003
    with pytest.raises(PortraitError, match="portrait recognize evaluate"):
        read_results(tmp_path / "nowhere")
