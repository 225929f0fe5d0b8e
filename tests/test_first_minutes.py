"""The first fifteen minutes of someone who comes from timm: what they type, line by line, and what comes of it."""

from pathlib import Path

import pytest

from movinet.video.sample import sample_clip

# After `#` there is what is shown then; dots stand for anything.
SESSION = """
import movinet, torch
movinet.list_models()  # ['movinet_t0_base', 'movinet_t0_stream', ...
movinet.list_models("*a0*")  # ['movinet_a0_base', 'movinet_a0_stream']
movinet.list_models("*a0_stream*", pretrained=True)  # ['movinet_a0_stream.k600', ...
[n for n in dir(movinet) if "model" in n]  # ['create_model', 'list_models', 'load_model', 'push_model', 'save_model']
movinet.create_model("movinet_a0_steam")  # SpecError: no network is called 'movinet_a0_steam'; did you mean ...
movinet.create_model("movinet_a0_stream", drop_rate=0.3)  # SpecError: ...no option 'drop_rate'; here it is dropout
movinet.create_model("movinet_a0_stream", frame_rate=10)  # SpecError: ...'frame_rate'; here it is fps
model = movinet.create_model("movinet_a0_stream", num_classes=10, dropout=0.3)
model  # MoViNet(movinet_a0_stream: a stream network...
model.num_classes, model.num_features, model.head_hidden_size  # (10, 104, 2048)
sum(p.numel() for p in model.parameters())  # 2539121
model.training  # True
x = torch.rand(2, 3, 4, 64, 64)
model = model.eval()
model(x).shape  # torch.Size([2, 10])
model.forward_features(x).shape  # torch.Size([2, 104, 4, 2, 2])
model.forward_head(model.forward_features(x), pre_logits=True).shape  # torch.Size([2, 2048])
model.get_classifier()  # Linear(in_features=2048, out_features=10, bias=True)
model.reset_classifier(0)
model.get_classifier()  # Identity()
model(x).shape  # torch.Size([2, 2048])
model.reset_classifier(5)
logits, state = model.step(x)
model.step(x[:, :, :1], state)[0].shape  # torch.Size([2, 5])
model(torch.rand(3, 4, 64, 64))  # ValueError: clip must have shape (B, 3, T, H, W)...
model((x * 255).byte())  # ValueError: clip must be floating point in [0, 1]...
model(x * 255)  # ValueError: values are in [0, 1], but there is 25...
torch.save(model.state_dict(), "mine.pth")
model.load_state_dict(torch.load("mine.pth"))  # <All keys matched successfully>
movinet.create_model("movinet_t0_stream", pretrained=True)  # WeightsError: movinet_t0_stream: no such file...
model = movinet.create_model("movinet_t0_stream.gestures", pretrained=True, num_classes=3)
model.info.transform.size, model.info.transform.fps  # ((64, 80), 5.0)
for name, p in model.named_parameters(): p.requires_grad = name.startswith("head.classifier")
optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
clips, targets = torch.rand(4, 3, 4, 64, 80), torch.tensor([0, 1, 2, 0])
torch.nn.functional.cross_entropy(model(clips), targets).backward()
optimizer.step()
movinet.save_model(model, "mine.safetensors", labels=["a", "b"])  # WeightsError: ...2 labels for 3 classes...
movinet.save_model(model, "mine.safetensors", labels=["a", "b", "c"])
model, info = movinet.load_model("mine.safetensors")
info.labels  # ('a', 'b', 'c')
model.predict(clips)[0].label in info.labels  # True
movinet.create_model("mine.safetensors", pretrained=True, num_classes=7).num_classes  # 7
movinet.Recognizer.load("mine.safetensors", threads=1)(clip).label in info.labels  # True
movinet.load_weights("mine.safetensors")  # Weights(WeightsInfo(movinet_t0_stream.mine: 3 classes, 64×80 ...
"""


def test_what_they_type_works_or_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"clip": str(sample_clip())}
    for line in SESSION.strip().splitlines():
        typed, _, wanted = line.partition("  # ")
        said = answer(typed, names)
        if not wanted:
            assert said == "None" or not said.partition(":")[0].endswith("Error"), f"{typed}\n{said}"
        elif "..." in wanted:
            place = 0
            for part in wanted.split("..."):
                place = said.find(part.strip(), place)
                assert place >= 0, f"{typed}\n{said}"
        else:
            assert said == wanted, f"{typed}\n{said}"


def answer(typed: str, names: dict[str, object]) -> str:
    """What an interpreter would show."""
    try:
        return repr(eval(typed, names))
    except SyntaxError:
        exec(typed, names)
        return "None"
    except ValueError as error:
        return f"{type(error).__name__}: {error}"
