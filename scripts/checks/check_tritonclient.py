"""Checks a server with tritonclient, NVIDIA's own client: python check_tritonclient.py HOST:PORT

The server has the models `square` (y = x * x, x FP32 [N, 4]) and `copy-DTYPE` (y = x, [N, 2]), in batches of up to 8.
test/server/http/tritonclient.matrix.ts starts it. It prints the name of each check, and ends with an error at the first that fails.
"""

import asyncio
import sys

import numpy as np
import tritonclient.http as client
import tritonclient.http.aio as aio
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

URL = sys.argv[1]
X = np.array([[1, -2, 0.1, 1e-30], [5, 6, 7, 8]], dtype=np.float32)


def square_input(x=X, binary=True):
    tensor = client.InferInput("x", list(x.shape), "FP32")
    tensor.set_data_from_numpy(x, binary_data=binary)
    return tensor


def refused(action, status, *words):
    try:
        action()
    except InferenceServerException as error:
        assert str(status) in str(error.status()), (error.status(), error.message())
        for word in words:
            assert word in error.message(), error.message()
        return
    raise AssertionError(f"not refused: {words}")


def health(server):
    assert server.is_server_live() and server.is_server_ready()
    assert server.is_model_ready("square") and server.is_model_ready("square", "1")
    assert not server.is_model_ready("unknown")


def metadata(server):
    assert "binary_tensor_data" in server.get_server_metadata()["extensions"]
    model = server.get_model_metadata("square", "1")
    assert model["inputs"] == [{"name": "x", "datatype": "FP32", "shape": [-1, 4]}], model
    config = server.get_model_config("square")
    assert config["max_batch_size"] == 8 and config["input"][0]["dims"] == [4], config


def forms(server):
    """Binary and JSON, in and out, in every combination."""
    for binary_in in (True, False):
        for outputs in (
            None,
            [client.InferRequestedOutput("y", binary_data=True)],
            [client.InferRequestedOutput("y", binary_data=False)],
        ):
            result = server.infer("square", [square_input(binary=binary_in)], outputs=outputs, request_id="ü-1")
            np.testing.assert_array_equal(result.as_numpy("y"), X * X)
            assert result.get_response()["id"] == "ü-1"


def datatypes(server):
    arrays = {
        "int64": np.array([[-(2**63), 2**53 + 1]], dtype=np.int64),
        "uint8": np.array([[0, 255]], dtype=np.uint8),
        "bool": np.array([[True, False]]),
        "float64": np.array([[0.1, 1e-310]], dtype=np.float64),
        "float16": np.array([[0.1, np.inf]], dtype=np.float16),
        "text": np.array([["ä€".encode(), b""]], dtype=np.object_),
    }
    for name, array in arrays.items():
        tensor = client.InferInput("x", [1, 2], np_to_triton_dtype(array.dtype))
        tensor.set_data_from_numpy(array)
        found = server.infer(f"copy-{name}", [tensor]).as_numpy("y")
        np.testing.assert_array_equal(found, array, err_msg=name)


def compression(server):
    for request in (None, "gzip", "deflate"):
        for response in (None, "gzip", "deflate"):
            result = server.infer(
                "square",
                [square_input()],
                request_compression_algorithm=request,
                response_compression_algorithm=response,
            )
            np.testing.assert_array_equal(result.as_numpy("y"), X * X)


def not_finite(server):
    x = np.array([[np.nan, np.inf, -np.inf, 0]], dtype=np.float32)
    np.testing.assert_array_equal(server.infer("square", [square_input(x)]).as_numpy("y"), x * x)
    outputs = [client.InferRequestedOutput("y", binary_data=False)]
    refused(lambda: server.infer("square", [square_input(x)], outputs=outputs), 400, "binary")


def errors(server):
    refused(lambda: server.infer("unknown", [square_input()]), 404, "unknown")
    refused(lambda: server.infer("square", [square_input(np.zeros((1, 5), np.float32))]), 400, "shape")
    refused(lambda: server.infer("square", [square_input(np.zeros((9, 4), np.float32))]), 400, "8")
    refused(lambda: server.infer("square", []), 400, "x")
    outputs = [client.InferRequestedOutput("z")]
    refused(lambda: server.infer("square", [square_input()], outputs=outputs), 400, "z")


def concurrent(server):
    """64 requests at once, of 1 to 8 samples."""
    rows = [np.full((1 + i % 8, 4), i, dtype=np.float32) for i in range(64)]
    pending = [server.async_infer("square", [square_input(x)]) for x in rows]
    for x, request in zip(rows, pending):
        np.testing.assert_array_equal(request.get_result().as_numpy("y"), x * x)


def statistics(server):
    (model,) = server.get_inference_statistics("square")["model_stats"]
    assert model["inference_stats"]["success"]["count"] > 64, model
    assert model["inference_stats"]["fail"]["count"] >= 3, model
    assert all(batch["compute_infer"]["count"] > 0 for batch in model["batch_stats"]), model
    assert len(server.get_inference_statistics()["model_stats"]) > 1


def repository(server):
    index = {entry["name"]: entry for entry in server.get_model_repository_index()}
    assert index["square"]["state"] == "READY", index
    server.unload_model("square")
    assert not server.is_model_ready("square")
    refused(lambda: server.infer("square", [square_input()]), 503, "square")
    server.load_model("square")
    np.testing.assert_array_equal(server.infer("square", [square_input()]).as_numpy("y"), X * X)
    refused(lambda: server.load_model("unknown"), 404, "unknown")


async def asynchronous():
    async with aio.InferenceServerClient(URL) as server:
        assert await server.is_server_ready()
        results = await asyncio.gather(*(server.infer("square", [square_input()]) for _ in range(16)))
        for result in results:
            np.testing.assert_array_equal(result.as_numpy("y"), X * X)


def main():
    with client.InferenceServerClient(URL, concurrency=64) as server:
        checks = (health, metadata, forms, datatypes, compression, not_finite, errors, concurrent, statistics, repository)
        for check in checks:
            check(server)
            print(check.__name__)
    asyncio.run(asynchronous())
    print("asynchronous")


main()
