"""The ONNX Runtime backend inside a real Triton, on a model that halves its image.

`tests/data/halve.onnx`: uint16 image (n, 1, y, x) -> halved (uint16, rounded down) and mean
(float32, (n, 1)). The backend is NVIDIA's by name, so the configuration here is an ordinary one.
"""

import re
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import tritonclient.grpc as triton_client

from kiosk.adapters.triton import TritonInference
from kiosk.errors import KioskError, PermanentError
from kiosk.imaging.candidates import Frame, find_candidates
from kiosk.imaging.detections import detect
from kiosk.imaging.link_graph import link_graph
from kiosk.local import Addresses, models_not_loaded, triton_spec
from kiosk.machine import free_port, server_files
from kiosk.processes import Child, Supervisor
from kiosk.settings import Settings
from kiosk.triton_secret import TritonSecret

pytestmark = pytest.mark.servers

WEIGHTS = Path(__file__).parent.parent / "data" / "halve.onnx"
CONFIG = """
backend: "onnxruntime"
max_batch_size: 8
instance_group { count: 1 }
input { name: "image" data_type: TYPE_UINT16 dims: [ 1, -1, -1 ] }
output { name: "halved" data_type: TYPE_UINT16 dims: [ 1, -1, -1 ] }
output { name: "mean" data_type: TYPE_FP32 dims: [ 1 ] }
dynamic_batching { max_queue_delay_microseconds: 200000 preferred_batch_size: 8 }
parameters { key: "intra_op_thread_count" value: { string_value: "1" } }
parameters { key: "execution_mode" value: { string_value: "0" } }
"""

# As in configs/gpu.pbtxt: on a machine without a GPU Triton takes the CPU, and runs the warm-up.
GPU_SETTINGS = """
optimization { execution_accelerators { gpu_execution_accelerator {
  name: "tensorrt" parameters { key: "precision_mode" value: "FP16" } } } }
model_warmup { name: "tiles" batch_size: 4
  inputs { key: "image" value {
    data_type: TYPE_UINT16 dims: [ 1, 64, 64 ] random_data: true } } }
"""

# On a CPU with bfloat16 this is another engine; elsewhere it must do no harm.
CPU_SETTINGS = """
optimization { execution_accelerators { cpu_execution_accelerator { name: "openvino" } } }
"""
SECRET = "words-between-friends"
NUCLEI = Path(__file__).parents[2] / "model_repository" / "nuclei"
LINKING = NUCLEI.with_name("linking")


def add_model(repository: Path, name: str, config: str = CONFIG, weights: bytes = b"") -> None:
    (repository / name / "1").mkdir(parents=True)
    (repository / name / "config.pbtxt").write_text(config)
    (repository / name / "1" / "model.onnx").write_bytes(weights or WEIGHTS.read_bytes())


@pytest.fixture(scope="module")
def triton(tmp_path_factory: pytest.TempPathFactory):
    """Addresses with a Triton with two good models and three that cannot be loaded."""
    folder = tmp_path_factory.mktemp("triton")
    repository = folder / "models"
    add_model(repository, "halve")
    add_model(repository, "halve_gpu", CONFIG + GPU_SETTINGS)
    add_model(repository, "halve_cpu", CONFIG + CPU_SETTINGS)
    nuclei = (NUCLEI / "config.pbtxt").read_text().replace('name: "nuclei"', "")
    add_model(repository, "nuclei", nuclei, (NUCLEI / "1" / "model.onnx").read_bytes())
    linking = (LINKING / "config.pbtxt").read_text()
    add_model(repository, "linking", linking, (LINKING / "1" / "model.onnx").read_bytes())
    add_model(repository, "no_weights", weights=b"these are no weights")
    add_model(repository, "wrong_type", CONFIG.replace("TYPE_UINT16", "TYPE_UINT8", 1))
    add_model(repository, "wrong_name", CONFIG.replace('"mean"', '"median"'))
    settings = Settings(home=folder / "home", model_repository=repository)
    try:
        files = server_files(settings.servers_dir)
    except PermanentError as error:
        pytest.skip(error.message)
    (settings.home / "triton").mkdir(parents=True)
    addresses = Addresses(
        host="127.0.0.1",
        web_port=0,
        grpc_port=0,
        redis_port=0,
        triton_port=free_port(),
        redis_password="",
        triton_secret=SECRET,
        has_tls=False,
    )
    child = Child(triton_spec(settings, addresses, files), folder)
    supervisor = Supervisor([child], print)
    try:
        supervisor.start()
        yield addresses
    finally:
        supervisor.stop()
        assert "PyCapsule" not in child.log.read_text()


@pytest.fixture
def client(triton: Addresses):
    with triton_client.InferenceServerClient(triton.triton_address) as client:
        client.register_plugin(TritonSecret(SECRET))
        yield client


def test_strangers_learn_only_whether_it_is_well(triton: Addresses, client):
    image = image_of((1, 1, 16, 16))
    for word in (None, "", "guess", SECRET[:-1]):
        with triton_client.InferenceServerClient(triton.triton_address) as stranger:
            if word is not None:
                stranger.register_plugin(TritonSecret(word))
            assert stranger.is_server_live()
            calls = [
                lambda: stranger.infer("halve", [tensor(image)]),
                stranger.get_model_repository_index,
                lambda: stranger.get_model_config("halve"),
                lambda: stranger.get_model_metadata("halve"),
                stranger.get_server_metadata,
                stranger.get_inference_statistics,
                stranger.get_trace_settings,
                stranger.get_log_settings,
                stranger.get_system_shared_memory_status,
                lambda: stranger.load_model("halve"),
                lambda: stranger.unload_model("halve"),
                lambda: stranger.update_log_settings({"log_file": "/tmp/x"}),
            ]
            for call in calls:
                with pytest.raises(triton_client.InferenceServerException, match="restricted"):
                    call()
    assert client.is_model_ready("halve")


async def test_the_kiosk_shows_the_word(triton: Addresses):
    inference = TritonInference(triton.triton_address, 60.0, SECRET)
    assert "nuclei" in {card.name for card in await inference.models()}
    await inference.close()
    stranger = TritonInference(triton.triton_address, 60.0)
    with pytest.raises(KioskError):
        await stranger.models()
    await stranger.close()


def tensor(image: np.ndarray, name: str = "image", kind: str = "UINT16"):
    given = triton_client.InferInput(name, image.shape, kind)
    given.set_data_from_numpy(image)
    return given


def image_of(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 2**16, shape, dtype=np.uint16)


@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (1, 1, 33, 70), (8, 1, 64, 64)])
def test_result_equals_numpy(client, shape):
    image = image_of(shape)
    result = client.infer("halve", [tensor(image)])
    halved = result.as_numpy("halved")
    assert halved.dtype == np.uint16
    np.testing.assert_array_equal(halved, image // 2)
    np.testing.assert_allclose(
        result.as_numpy("mean"), image.mean((2, 3), dtype=np.float64), rtol=1e-5
    )


def test_only_the_outputs_that_were_asked_for_are_sent(client):
    wanted = [triton_client.InferRequestedOutput("mean")]
    result = client.infer("halve", [tensor(image_of((1, 1, 8, 8)))], outputs=wanted)
    assert [output.name for output in result.get_response().outputs] == ["mean"]


def test_requests_of_equal_and_of_other_shapes_are_batched_and_kept_apart(client):
    shapes = [(1, 1, 16, 16), (2, 1, 16, 16), (1, 1, 16, 16), (1, 1, 9, 5), (3, 1, 16, 16)] * 3
    images = [image_of(shape, seed) for seed, shape in enumerate(shapes)]
    runs_before = executions(client)
    together = threading.Barrier(len(images))

    def run(image: np.ndarray) -> np.ndarray:
        together.wait(timeout=20)
        return client.infer("halve", [tensor(image)]).as_numpy("halved")

    with ThreadPoolExecutor(len(images)) as pool:
        results = list(pool.map(run, images))
    for image, halved in zip(images, results, strict=True):
        np.testing.assert_array_equal(halved, image // 2)
    assert executions(client) - runs_before < len(images)


def executions(client) -> int:
    return int(client.get_inference_statistics("halve").model_stats[0].execution_count)


def test_bad_request_gets_a_sentence_and_harms_no_other(client):
    good = image_of((1, 1, 16, 16))
    bad = tensor(good.astype(np.float32), kind="FP32")
    with pytest.raises(triton_client.InferenceServerException, match="UINT16"):
        client.infer("halve", [bad])
    np.testing.assert_array_equal(
        client.infer("halve", [tensor(good)]).as_numpy("halved"), good // 2
    )


def test_models_that_do_not_fit_their_configuration_say_why_and_keep_nothing_down(triton, client):
    reasons = dict(models_not_loaded(triton.triton_address, SECRET))
    assert set(reasons) == {"no_weights", "wrong_type", "wrong_name"}
    assert "'image' is TYPE_UINT8" in reasons["wrong_type"]
    assert re.search(r"the output 'median'; the weights have halved, mean", reasons["wrong_name"])
    assert client.is_server_live()


def test_settings_for_a_gpu_do_no_harm_without_one(client):
    image = np.arange(64, dtype=np.uint16).reshape(1, 1, 8, 8)
    tensor = triton_client.InferInput("image", image.shape, "UINT16")
    tensor.set_data_from_numpy(image)
    answer = client.infer("halve_gpu", [tensor])
    np.testing.assert_array_equal(answer.as_numpy("halved"), image // 2)


def test_engine_for_bfloat16_answers_like_the_other(client):
    image = image_of((2, 1, 40, 24))
    answer = client.infer("halve_cpu", [tensor(image)])
    np.testing.assert_array_equal(answer.as_numpy("halved"), image // 2)
    expected = image.mean((2, 3), dtype=np.float64)
    np.testing.assert_allclose(answer.as_numpy("mean"), expected, rtol=2**-7)


def test_a_faint_signal_on_a_high_background_is_seen(client):
    """Grey values of 40,000 are no whole numbers of bfloat16; what is above them must not drown."""
    y, x = np.mgrid[:128, :128]
    disc = 400 * (np.hypot(y - 60, x - 64) < 12)
    found = []
    for background in (100, 40_100, 60_050):
        limits = triton_client.InferInput("limits", (1, 2), "FP32")
        limits.set_data_from_numpy(np.array([[background, background + 500]], np.float32))
        image = tensor((disc + background).astype(np.uint16)[None, None])
        found.append(client.infer("nuclei", [image, limits]).as_numpy("foreground").astype(int))
    assert found[0][0, 60, 64] > 200
    for other in found[1:]:
        assert np.abs(other - found[0]).max() <= 4


@pytest.mark.parametrize(("cells", "frames"), [(1, 2), (9, 3), (16, 6)])
def test_graphs_of_any_size_are_scored(client, cells, frames):
    """A model without batches, with eleven inputs of open lengths and of three types."""
    onnxruntime = pytest.importorskip("onnxruntime")
    shown = []
    for number in range(frames):
        labels = np.zeros((128, 128), np.uint32)
        for cell in range(cells):
            y, x = 6 + 30 * (cell // 4) + number, 6 + 30 * (cell % 4)
            labels[y : y + 12, x : x + 12] = cell + 1
        shown.append(Frame.of(number, detect(labels, labels * 10.0), np.zeros(2)))
    graph = link_graph(shown, find_candidates(shown, 2), (0, frames - 1))
    kinds = {"float32": "FP32", "uint8": "UINT8", "int64": "INT64"}
    result = client.infer("linking", [tensor(a, n, kinds[str(a.dtype)]) for n, a in graph.items()])
    session = onnxruntime.InferenceSession(
        LINKING / "1" / "model.onnx", providers=["CPUExecutionProvider"]
    )
    for name, expected in zip(
        ("link", "division"), session.run(["link", "division"], graph), strict=True
    ):
        np.testing.assert_allclose(result.as_numpy(name), expected, rtol=1e-3, atol=1e-3)
