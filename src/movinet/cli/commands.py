"""Every command: where its function is, which is imported when it is called, and what help says of it.

The functions' docstrings say what their options mean, and in their first line what this says in its first.
"""

from cyclopts import App

from movinet.cli.app import app

_COLUMNS = 77  # that help has for an example on a terminal of 80


def examples(*lines: str) -> str:
    """The end of a command's --help. What is too long for a line goes on in the next as shells have it, and can be
    copied."""
    return "**Examples**\n\n```\n" + "\n".join(map(_folded, lines)) + "\n```"


def _folded(line: str) -> str:
    first, *options = line.split(" --")
    lines = [first]
    for option in options:
        if len(lines[-1]) + len(option) + len(" -- \\") > _COLUMNS:
            lines.append("   ")
        lines[-1] += f" --{option}"
    return " \\\n".join(lines)


app.command(
    "movinet.cli.classify:classify",
    help="Say what videos show.",
    usage="Usage: movinet classify VIDEO... [OPTIONS]",
    help_epilogue=examples(
        "movinet classify clip.mp4",
        "movinet classify clips/ --start 0:01:30 --end 0:01:40",
        "ffmpeg -i clip.mp4 -f matroska - | movinet classify -",
        "movinet classify hours.mp4 --events",
        "movinet classify *.mp4 --model movinet_a2_stream.k600 --topk 3",
        "movinet classify talk.mkv --model weights.tflite --labels labels.txt --per-frame --json",
    ),
)
app.command(
    "movinet.cli.watch:watch",
    help="""Watch cameras, network streams or files as they play.

The newest frame is always the one looked at: a slow machine drops frames and never lags. A lost camera is opened
again, with growing pauses. Several sources share one engine, and none holds up the others. Ctrl-C ends it, and no event
is lost. Exit code 0 when all have ended, 2 when something given is wrong, a source was given up,
or showed no picture in --seconds; 130 after Ctrl-C.

Passwords: in a file for --credentials (`camera.local: {user: admin, password: "…"}`), in MOVINET_USER and
MOVINET_PASSWORD of the environment, or in the address. They are shown nowhere.
""",
    usage="Usage: movinet watch SOURCE... [OPTIONS]",
    help_epilogue=examples(
        "movinet watch 0",
        "movinet watch rtsp://camera.local/stream --model movinet_a1_stream.k600 --memory 5",
        "movinet watch 0 1 rtsp://camera.local/stream --credentials logins.yaml",
        "movinet watch cameras.yaml --check",
        "movinet watch cameras.yaml --on-event 'notify-send movinet' --webhook https://example.org/hook",
        "movinet watch clip.mp4 --loop",
        "movinet watch 0 --engine openvino --precision bfloat16",
        "movinet watch 0 --json | jq 'select(.type == \"begun\")'",
    ),
)
app.command(
    "movinet.cli.serve:serve",
    help="""Recognize what browsers, programs and cameras send, and show it on a page.

Pictures come over WebSockets, cameras are added over REST or on the page; events go out as server-sent events,
webhooks and MQTT. Ctrl-C or SIGTERM ends it, and no event is lost. Without tokens it is for this machine alone.
""",
    help_epilogue=examples(
        "movinet serve",
        "movinet serve --model movinet_a0_stream.k600 --fast --max-streams 80",
        "movinet serve --host 0.0.0.0 --source-host 192.168.1.0/24 --files videos/",
        "movinet serve --config serve.yaml",
    ),
)
app.command(
    "movinet.cli.scan:scan",
    help="""Look at every video of an archive, and keep what is in it, in tables.

A row a video, in Parquet and JSON lines: its events with their times, its labels, what was wrong with it. What is done
is in a journal, which outlives Ctrl-C, kill -9, a full disk and a power failure: the same command goes on, and looks
again at what has changed. `movinet scan status FOLDER` says how far it is. Exit code 0 when every video has its row, 1
when some failed or could not be listed, 2 when something given is wrong or it cannot go on, 130 after Ctrl-C.
""",
    usage="Usage: movinet scan SOURCE... --out FOLDER [OPTIONS]",
    help_epilogue=examples(
        "movinet scan /data/videos --out results/ --model movinet_a2_stream.k600",
        "movinet scan '/data/**/*.mp4' list.csv s3://bucket/2026/ --out results/",
        "movinet scan /data/videos --out results/ --embeddings --json",
        "movinet scan /data/videos --out results/ --retry-failed",
        "movinet scan status results/",
        "movinet scan s3://bucket/ --out /shared/results --ray auto",
    ),
)
app.command(
    "movinet.cli.similar:similar",
    help="""Find the moments of an archive that look most like a clip.

Compares one vector a second, of which `movinet scan --embeddings` has kept those of the archive, by exact cosine.
""",
    usage="Usage: movinet similar RESULTS CLIP [OPTIONS]",
    help_epilogue=examples(
        "movinet similar results/ clip.mp4",
        "movinet similar results/ clip.mp4 --at 12 --topk 50 --json",
    ),
)
app.command(
    "movinet.cli.demo:demo",
    help="""Recognize what a hand draws, frame by frame, in the clip that comes with movinet. Needs no network.

`movinet data synthesize` renders more such clips.
""",
    help_epilogue=examples("movinet demo", "movinet demo --json"),
)
app.command(
    "movinet.cli.evaluate:evaluate",
    help="""Measure how good a network is on labeled videos: accuracy of clips and streams, or false alarms of events.

Any network on any engine, in any precision, and what was exported of it, is judged with the same words: top-1 and top-5
or mean average precision with 95 % intervals over videos, classes, confusions, calibration, and what it costs. Repeated
after an interruption, it goes on where it was. Exit code 2 where a video could not be read.
""",
    usage="Usage: movinet evaluate DATA... [OPTIONS]",
    help_epilogue=examples(
        "movinet evaluate clips/ --model runs/mine/model.safetensors",
        "movinet evaluate val.csv --videos /data/k600 --model movinet_a2_base.k600 --protocol clip --skip-missing",
        "movinet evaluate clips.csv --split 3 --model a0.tflite --labels labels.txt --report report.html",
        "movinet evaluate clips/ --model exported/ --protocol multi-clip --clips 10 --crops 3 --json",
        "movinet evaluate --gestures 2200 --precision int8",
        "movinet evaluate streams.csv --protocol events --model mine.safetensors --target-false-alarms 1 --save",
        "movinet evaluate thumos14.json --protocol events --videos /data/thumos --model mine.safetensors --json",
    ),
)
app.command(
    "movinet.cli.inspect:inspect",
    help="""Show what a network sees of a video, and say what looks wrong with it.

Draws the frames as they are prepared for the network, with their times, into a PNG, and says what would make its
answers wrong: exchanged colors (BGR), a wrong range or rate, a picture that stands still, bars, a crop that loses most.
""",
    usage="Usage: movinet inspect VIDEO [OPTIONS]",
    help_epilogue=examples(
        "movinet inspect clip.mp4",
        "movinet inspect clip.mp4 --model movinet_a2_stream.k600 --start 60 --end 70 --out seen.png",
        "movinet inspect clip.mp4 --json | jq .findings",
    ),
)
app.command(
    "movinet.cli.models:models",
    help="List the weights that can be loaded by name, and the networks that can be trained.",
    help_epilogue=examples(
        "movinet models",
        "movinet models a2",
        "movinet models --json",
    ),
)
app.command(
    "movinet.cli.networks:profile",
    help="Count what a network costs, and measure it on this machine.",
    help_epilogue=examples(
        "movinet profile movinet_a0_stream",
        "movinet profile movinet_a2_base --size 224 224 --threads 1",
        "movinet profile movinet_a0_stream --engine openvino --precision bfloat16 --threads 1",
        "movinet profile found.yaml --json",
    ),
)
app.command(
    "movinet.cli.compare:compare",
    help="""Put networks side by side: what was published of them, what they cost, and what they came to here.

MoViNets beside X3D, SlowFast, ResNet3D and MobileNets with TSN and TSM. Every published figure has its source; what is
counted or measured on this machine is told apart. Pictures go into the folder of --out.
""",
    usage="Usage: movinet compare [NETWORK...] [OPTIONS]",
    help_epilogue=examples(
        "movinet compare",
        "movinet compare movinet_a2 x3d_m --data Kinetics-400",
        "movinet compare --measure --out comparison",
        "movinet compare --trained runs/comparators/trained.json --out comparison",
    ),
)
app.command(
    "movinet.cli.networks:convert",
    help="""Turn weights of any kind we know into one of our own files, with all that is needed to use them.

Reads TensorFlow checkpoints and SavedModels (also as .tar.gz), .tflite files of stream networks, state dicts of
MoViNet-pytorch, our own files, and names of `movinet models`.
""",
    help_epilogue=examples(
        "movinet convert movinet_a0_stream.tar.gz a0.safetensors --labels kinetics_600_labels.txt",
        "movinet convert modelA2_stream_statedict_v3 a2.safetensors --half",
        "movinet convert mine.tar.gz mine.safetensors --option gate=hard_sigmoid_garden",
    ),
)
app.command(
    "movinet.cli.push:push",
    help="Publish weights on the Hugging Face Hub, with a card that says what is known of them.",
    help_epilogue=examples(
        "movinet push runs/mine/model.safetensors me/air-gestures",
        "movinet push mine.safetensors me/mine --private",
        "movinet classify clip.mp4 --model hf-hub:me/air-gestures",
    ),
)
app.command(
    "movinet.cli.exporting:export",
    help="""Write a network for another runtime, with a manifest of all that is needed to use it.

Before it says done, the file has run in its own runtime on 20 frames of video and answered as the network does.
(Core ML runs on Apple's machines only: what is run is its program, by PyTorch.)
""",
    help_epilogue=examples(
        "movinet export movinet_t0_stream.gestures --to onnx",
        "movinet export movinet_a2_stream.k600 --to openvino --streams 8",
        "movinet export runs/mine/model.safetensors --to browser --out web",
        "movinet export a0.safetensors --to coreml --precision float16 --size 128 128",
        "movinet export found.yaml --to litert --untrained",
    ),
)
app.command(
    "movinet.cli.training:train",
    help="""Train a network as a recipe says. Ctrl-C saves first; `--resume` goes on to the same end.

The folder of the run gets model.safetensors (what `classify` and `watch` take), tables, pictures and a README.
""",
    usage="Usage: movinet train RECIPE [OPTIONS]",
    help_epilogue=examples(
        "movinet train gestures",
        "movinet train movinet_a0_stream.k600 --data /data/kinetics600 --processes 8",
        "movinet train gestures --arch mine.yaml --out runs/mine --dry-run",
        "movinet train --resume runs/gestures",
    ),
)
app.command(
    "movinet.cli.training:finetune",
    help="""Teach a trained network your own classes: a folder of clips in, one file for `classify` and `watch` out.

One class a clip, or any number of them (labels written a|b in a list); two classes or many.
Ctrl-C saves first, and `movinet train --resume` goes on to the same end.
""",
    usage="Usage: movinet finetune DATA... --model NAME [OPTIONS]",
    help_epilogue=examples(
        "movinet finetune clips/ --model movinet_a0_stream.k600",
        "movinet finetune clips.csv --model a0.tflite --test 3 --out runs/fold3",
        "movinet finetune clips/ --model movinet_a2_stream.k600 --freeze stem --freeze blocks.0 --epochs 10",
        "movinet finetune swipes/ --model movinet_a0_stream.k600 --flip 0.5 --swap swipe_left swipe_right",
    ),
)
app.command(
    "movinet.cli.searching:search",
    help="""Find a network for your data and your budget. Ctrl-C saves first; `--resume` goes on to the same end.

The folder gets found.yaml, a specification that `movinet train --arch` takes, training.yaml, a recipe to train it
with, and tables and pictures of how it was found.
""",
    usage="Usage: movinet search RECIPE [OPTIONS]",
    help_epilogue=examples(
        "movinet search search_gestures",
        "movinet search search_gestures --target 2e6 --out runs/larger --dry-run",
        "movinet search mine.yaml --data clips/ --device cuda",
        "movinet search --resume runs/search_gestures",
        "movinet train runs/search_gestures/training.yaml --out runs/found --epochs 13",
    ),
)
data = App(name="data", help="Make and check data.")
app.command(data)
data.command(
    "movinet.cli.data:synthesize",
    help="""Make a labeled set of synthetic air gestures: a folder of videos for every gesture, and clips.csv.

Deterministic in the seed. Run again after an interruption, it goes on where it stopped.
""",
    help_epilogue=examples(
        "movinet data synthesize gestures --clips 50",
        "movinet data synthesize test --clips 20 --seed 1 --size 172 172 --gestures star --gestures square",
    ),
)
data.command(
    "movinet.cli.data:synthesize_streams",
    help="""Make long synthetic videos in which gestures come now and then, and streams.csv, which says when.

Between gestures hands rest, fidget, point, scratch and wander about, come and go; scenes change, light is switched.
Deterministic in the seed. Run again after an interruption, it goes on where it stopped.
""",
    help_epilogue=examples(
        "movinet data synthesize-streams streams --streams 4 --quiet 4 --seconds 300",
        "movinet evaluate streams/streams.csv --protocol events --target-false-alarms 5",
    ),
)
data.command(
    "movinet.cli.data:check",
    help="""Look at every clip of a data set before training on it, and say what is in it and what is wrong.

Reads a folder with a folder of videos per class (also within train, val, test), CSV and JSON lists (file, label,
and optionally start, end, split), the lists of Kinetics, Something-Something v2, Charades, UCF101, HMDB51 and
mmaction2 (`clip.mp4 3`), and what `movinet data shard` writes.
Exit code 2 where training is impossible.
""",
    usage="Usage: movinet data check DATA... [OPTIONS]",
    help_epilogue=examples(
        "movinet data check clips/",
        "movinet data check train.csv val.csv --videos /data/videos --sheet sheet.png",
        "movinet data check clips/ --json | jq .problems",
    ),
)
data.command(
    "movinet.cli.data:shard",
    help="""Pack a large data set into few files: WebDataset shards, which train as the clips themselves do.

Thousands of small files are slow on network disks, and slow to copy. Videos are packed as they are; with
--short-side, larger ones are shrunk and cut to what is listed of them, which is faster to read.
Run again after an interruption, it goes on where it stopped.
""",
    usage="Usage: movinet data shard DATA... --out FOLDER [OPTIONS]",
    help_epilogue=examples(
        "movinet data shard clips/ --out shards/",
        "movinet data shard train.csv val.csv --videos /data/videos --out shards/ --short-side 256",
        "movinet data shard jester/ --out shards/ --folder-fps 12 --split train",
    ),
)
