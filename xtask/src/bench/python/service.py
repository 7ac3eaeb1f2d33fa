"""The service that is usually written around a model: FastAPI, python-jose, slowapi, onnxruntime.

It serves the same model to the same requests as the component, for `cargo xtask bench function`. What it is not made to
do is to compute the features of a text: it is given them, which only flatters it.

    service.py MODEL.onnx FEATURES.bin PORT
"""

import struct
import sys
import time

import numpy
import onnxruntime
import uvicorn
from fastapi import FastAPI, HTTPException, Request
from jose import jwt
from pydantic import BaseModel, Field
from slowapi import Limiter
from slowapi.util import get_remote_address

KEY = "0123456789abcdef0123456789abcdef"
AUDIENCE = "scam-detector"


class Question(BaseModel):
    text: str = Field(min_length=1, max_length=65536)


def features(path):
    """The first segment that the feature extractor wrote: a count, the ids, the values."""
    words = open(path, "rb").read()
    (count,) = struct.unpack_from("<I", words, 4)
    ids = numpy.frombuffer(words, "<u4", count, 8).astype(numpy.int64)
    values = numpy.frombuffer(words, "<f4", count, 8 + 4 * count)
    return ids, values


def main():
    model, path, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    ids, values = features(path)
    inputs = {entry.name: data for entry, data in zip(session.get_inputs(), (ids, values))}

    # The bare model, for whoever would say that it is the framework.
    for _ in range(100):
        session.run(None, inputs)
    before = time.process_time()
    for _ in range(2000):
        session.run(None, inputs)
    print(f"onnxruntime {(time.process_time() - before) / 2000 * 1e6:.1f}", flush=True)
    print("token " + jwt.encode({"sub": "bench", "aud": AUDIENCE, "exp": time.time() + 3600}, KEY), flush=True)

    application = FastAPI()
    limiter = application.state.limiter = Limiter(key_func=get_remote_address)

    @application.post("/v1/predict")
    @limiter.limit("1000000/second")
    async def predict(request: Request, question: Question):
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            raise HTTPException(401)
        jwt.decode(token, KEY, algorithms=["HS256"], audience=AUDIENCE)
        score = float(session.run(None, inputs)[0].reshape(-1)[0])
        return {"label": "scam" if score >= 0 else "ham", "probability": 1 / (1 + 2.718281828 ** -score)}

    uvicorn.run(application, host="127.0.0.1", port=port, log_level="warning", workers=1)


main()
