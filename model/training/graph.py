"""The ONNX graph: a sparse dot product over hashed buckets.

    terms = table[ids] * values * scale
    log_odds = sum(terms) + bias

The table is int8, which loses nothing measurable and keeps the file small. The calibration is
folded into scale and bias.
"""

import numpy as np
from onnx import TensorProto, checker, helper, numpy_helper


def quantise(weights):
    """Returns the int8 table and the number that turns its steps back into weights."""
    step = float(np.abs(weights).max()) / 127
    return np.clip(np.rint(weights / step), -127, 127).astype(np.int8), step


def build(table, scale, bias, name, version):
    nodes = [
        helper.make_node("Gather", ["table", "ids"], ["steps"], axis=0),
        helper.make_node("Cast", ["steps"], ["weights"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["values", "scale"], ["scaled"]),
        helper.make_node("Mul", ["weights", "scaled"], ["terms"]),
        helper.make_node("ReduceSum", ["terms", "axes"], ["sum"], keepdims=1),
        helper.make_node("Add", ["sum", "bias"], ["log_odds"]),
    ]
    initialisers = [
        numpy_helper.from_array(table, "table"),
        numpy_helper.from_array(np.array([0], dtype=np.int64), "axes"),
        numpy_helper.from_array(np.array([scale], dtype=np.float32), "scale"),
        numpy_helper.from_array(np.array([bias], dtype=np.float32), "bias"),
    ]
    graph = helper.make_graph(
        nodes,
        name,
        [
            helper.make_tensor_value_info("ids", TensorProto.INT64, ["N"]),
            helper.make_tensor_value_info("values", TensorProto.FLOAT, ["N"]),
        ],
        [
            helper.make_tensor_value_info("log_odds", TensorProto.FLOAT, [1]),
            helper.make_tensor_value_info("terms", TensorProto.FLOAT, ["N"]),
        ],
        initialisers,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    model.producer_name = name
    model.producer_version = version
    checker.check_model(model)
    return model.SerializeToString(deterministic=True)
