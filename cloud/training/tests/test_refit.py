import json

import pytest
import torch

from cattletrain import checkpoint, export, fuse, network, refit, soup


def small(layers, labels):
    config = network.config(width=32, queries=20, layers=layers, depths=(1, 1, 1, 1, 1, 1))
    config.id2label, config.label2id = labels, {v: k for k, v in labels.items()}
    return network.build(config, pretrained=False).eval()


def test_a_network_with_one_class_more_and_a_layer_less_scores_cattle_as_its_second_layer_did(tmp_path):
    torch.manual_seed(3)
    old = small(3, {0: "cattle"})
    config, weights = refit.refit(old.config.to_dict(), old.state_dict(), layers=2)
    new = network.build(type(old.config).from_dict(config), pretrained=False).eval()
    checkpoint.load_weights(new, weights, tmp_path)
    x = network.normalised(torch.rand(1, 3, 128, 128))
    with torch.inference_mode():
        before = old.model(pixel_values=x).intermediate_logits[0, 1, :, 0]
        after = new(pixel_values=x).logits[0]
    assert after.shape == (20, 2)
    torch.testing.assert_close(after[:, 0], before, atol=1e-5, rtol=1e-5)
    assert (after[:, 1] < after[:, 0]).all()


def test_a_network_of_the_wanted_form_stays_as_it_is():
    model = small(2, network.LABELS)
    config, weights = refit.refit(model.config.to_dict(), model.state_dict())
    assert config["decoder_layers"] == 2
    assert all(torch.equal(weights[k], v) for k, v in model.state_dict().items())


def test_a_soup_is_the_mean_of_its_checkpoints_and_refuses_other_networks(tmp_path):
    one, two, other = small(2, network.LABELS), small(2, network.LABELS), small(3, network.LABELS)
    paths = [tmp_path / f"{n}.pt" for n in range(3)]
    for path, model in zip(paths, (one, two, other), strict=True):
        checkpoint.save(path, {"config": json.loads(model.config.to_json_string(use_diff=False)), "weights": model.state_dict(), "step": 5})
    mixed = soup.mix(paths[:2])
    name = "model.enc_score_head.weight"
    torch.testing.assert_close(mixed["weights"][name], (one.state_dict()[name] + two.state_dict()[name]) / 2)
    assert mixed["step"] == 10
    with pytest.raises(checkpoint.CheckpointError, match="another network"):
        soup.mix([paths[0], paths[2]])


def test_calibration_changes_the_scores_of_cattle_only():
    torch.manual_seed(4)
    model = fuse.fused(small(2, network.LABELS))
    x = network.normalised(torch.rand(1, 3, 64, 64))
    with torch.inference_mode():
        before = model(pixel_values=x)
        export.calibrate(model, 2.0, -1.0)
        after = model(pixel_values=x)
    torch.testing.assert_close(after.logits[..., 0], 2 * before.logits[..., 0] - 1, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(after.logits[..., 1], before.logits[..., 1])
    torch.testing.assert_close(after.pred_boxes, before.pred_boxes)
    with torch.inference_mode():
        export.calibrate(model, 1.0, 0.0, -1.5)
        less = model(pixel_values=x)
    torch.testing.assert_close(less.logits[..., 0], after.logits[..., 0])
    torch.testing.assert_close(less.logits[..., 1], after.logits[..., 1] - 1.5)


def test_a_soup_of_two_may_have_less_of_the_second(tmp_path):
    paths = [tmp_path / "old.pt", tmp_path / "new.pt"]
    models = small(2, network.LABELS), small(2, network.LABELS)
    for path, model in zip(paths, models, strict=True):
        checkpoint.save(path, {"config": json.loads(model.config.to_json_string(use_diff=False)), "weights": model.state_dict(), "step": 5})
    assert soup.main([*map(str, paths), str(tmp_path / "mixed.pt"), "--share", "0.25"]) == 0
    name = "model.enc_score_head.weight"
    old, new = (m.state_dict()[name] for m in models)
    torch.testing.assert_close(checkpoint.read(tmp_path / "mixed.pt")["weights"][name], 0.75 * old + 0.25 * new)
    with pytest.raises(SystemExit):
        soup.main([*map(str, paths), str(paths[0]), str(tmp_path / "three.pt"), "--share", "0.25"])
