//! The ONNX operators that the model's graph consists of.
//!
//! tract knows some two hundred. What is not registered is not linked, and a component that is compiled wherever it is
//! started should be small. A graph with any other operator is refused when it is loaded.

use tract_onnx::Onnx;
use tract_onnx::model::{OnnxOpRegister, ParsingContext};
use tract_onnx::pb::NodeProto;
use tract_onnx::tract_core::ops::cast::cast;
use tract_onnx::tract_core::ops::nn::{Reduce, Reducer};
use tract_onnx::tract_hir::internal::*;
use tract_onnx::tract_hir::ops::array::Gather;
use tract_onnx::tract_hir::ops::binary::BinIntoHir;
use tract_onnx::tract_hir::ops::math::{Add, Mul};

/// An operator, and names that it refers to (none of ours does).
type Built = TractResult<(Box<dyn InferenceOp>, Vec<String>)>;

/// A reader of ONNX that knows these operators.
pub(crate) fn onnx() -> Onnx {
    let mut register = OnnxOpRegister::default();
    register
        .insert("Add", |_: &ParsingContext<'_>, _: &NodeProto| Ok((Add.into_hir(), Vec::new())));
    register.insert("Cast", to_float);
    register.insert("Gather", gather);
    register
        .insert("Mul", |_: &ParsingContext<'_>, _: &NodeProto| Ok((Mul.into_hir(), Vec::new())));
    register.insert("ReduceSum", sum);
    Onnx { op_register: register, ..Onnx::default() }
}

fn gather(_: &ParsingContext<'_>, node: &NodeProto) -> Built {
    let axis = node.get_attr_opt("axis")?.unwrap_or(0);
    Ok((expand(Gather::new(axis)), Vec::new()))
}

fn to_float(_: &ParsingContext<'_>, node: &NodeProto) -> Built {
    let to: DatumType = node.get_attr("to")?;
    ensure!(to == f32::datum_type(), "Cast to {to:?}: expected one to float");
    Ok((expand(ToFloat), Vec::new()))
}

fn sum(_: &ParsingContext<'_>, node: &NodeProto) -> Built {
    let keeps_dimensions = node.get_attr_opt::<i64>("keepdims")?.unwrap_or(1) == 1;
    ensure!(keeps_dimensions, "ReduceSum: expected keepdims = 1");
    Ok((expand(Sum), Vec::new()))
}

/// `Cast` to float.
#[derive(Debug, Clone, PartialEq, Eq)]
struct ToFloat;

impl Expansion for ToFloat {
    fn name(&self) -> StaticName {
        "ToFloat".into()
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        solver: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        check_input_arity(inputs, 1)?;
        check_output_arity(outputs, 1)?;
        let ([input], [output]) = (inputs, outputs) else { bail!("Cast: expected one input") };
        solver.equals(&output.datum_type, f32::datum_type())?;
        solver.equals(&output.shape, &input.shape)
    }

    fn wire(
        &self,
        prefix: &str,
        model: &mut TypedModel,
        inputs: &[OutletId],
    ) -> TractResult<TVec<OutletId>> {
        model.wire_node(prefix, cast(f32::datum_type()), inputs)
    }
}

/// `ReduceSum` of a vector to a vector of one. Its second input names the axes: there is but one.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Sum;

impl Expansion for Sum {
    fn name(&self) -> StaticName {
        "Sum".into()
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        solver: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        check_input_arity(inputs, 2)?;
        check_output_arity(outputs, 1)?;
        let ([input, _], [output]) = (inputs, outputs) else {
            bail!("ReduceSum: expected two inputs")
        };
        solver.equals(&output.datum_type, &input.datum_type)?;
        solver.equals(&input.rank, 1)?;
        solver.equals(&output.rank, 1)?;
        solver.equals(&output.shape[0], 1.to_dim())
    }

    fn wire(
        &self,
        prefix: &str,
        model: &mut TypedModel,
        inputs: &[OutletId],
    ) -> TractResult<TVec<OutletId>> {
        let vector = inputs.first().copied().context("ReduceSum: expected an input")?;
        model.wire_node(prefix, Reduce::new(tvec![0], Reducer::Sum), &[vector])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_graph_has_is_known() {
        let mut known: Vec<String> = onnx().op_register.0.into_keys().collect();
        known.sort();
        assert_eq!(known, ["Add", "Cast", "Gather", "Mul", "ReduceSum"]);
    }
}
