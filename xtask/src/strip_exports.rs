//! Takes exports out of a filter's .wasm that the filter has no use for.
//!
//! The proxy-wasm SDK exports every callback of the ABI, also those whose handler does nothing. Envoy
//! calls what is exported: each idle callback costs every request a crossing into the VM and back,
//! 2 µs in all. A callback that is not exported is not called.

use anyhow::{Context, Result};
use wasm_encoder::reencode::{Error, Reencode, utils};
use wasm_encoder::{ExportSection, Module};
use wasmparser::{ExportSectionReader, Parser, Validator};

/// The module without the `proxy_on_*` exports that `callbacks` does not name. What is no callback
/// (memory, the allocator, the ABI marker, start functions) stays.
///
/// # Errors
///
/// When `module` is no valid core module.
pub(crate) fn strip_exports(module: &[u8], callbacks: &[&str]) -> Result<Vec<u8>> {
    let mut stripped = Module::new();
    ExportFilter { callbacks }
        .parse_core_module(&mut stripped, Parser::new(0), module)
        .map_err(|error| anyhow::anyhow!("{error}"))
        .context("reading the module")?;
    let stripped = stripped.finish();
    Validator::new().validate_all(&stripped).context("checking the stripped module")?;
    Ok(stripped)
}

struct ExportFilter<'a> {
    callbacks: &'a [&'a str],
}

impl ExportFilter<'_> {
    fn keeps(&self, name: &str) -> bool {
        !name.starts_with("proxy_on_") || self.callbacks.contains(&name)
    }
}

impl Reencode for ExportFilter<'_> {
    type Error = std::convert::Infallible;

    fn parse_export_section(
        &mut self,
        exports: &mut ExportSection,
        section: ExportSectionReader<'_>,
    ) -> Result<(), Error<Self::Error>> {
        for export in section {
            let export = export?;
            if self.keeps(export.name) {
                utils::parse_export(self, exports, export)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasmparser::Payload;

    #[test]
    fn idle_callbacks_go_and_the_rest_stays() {
        let module = wat::parse_str(MODULE).unwrap();
        let stripped =
            strip_exports(&module, &["proxy_on_request_headers", "proxy_on_absent"]).unwrap();
        assert_eq!(
            exports(&stripped),
            [
                "memory",
                "_initialize",
                "malloc",
                "proxy_abi_version_0_2_1",
                "proxy_on_request_headers"
            ]
        );
    }

    #[test]
    fn stripping_twice_changes_nothing_more() {
        let module = wat::parse_str(MODULE).unwrap();
        let once = strip_exports(&module, &["proxy_on_request_headers"]).unwrap();
        assert_eq!(strip_exports(&once, &["proxy_on_request_headers"]).unwrap(), once);
    }

    #[test]
    fn what_is_no_module_is_refused() {
        assert!(strip_exports(b"\0asm but not really", &[]).is_err());
        assert!(strip_exports(b"", &[]).is_err());
        let cut = &wat::parse_str(MODULE).unwrap()[..60];
        assert!(strip_exports(cut, &[]).is_err());
    }

    fn exports(module: &[u8]) -> Vec<String> {
        let mut names = Vec::new();
        for payload in Parser::new(0).parse_all(module) {
            if let Payload::ExportSection(section) = payload.unwrap() {
                names.extend(section.into_iter().map(|export| export.unwrap().name.to_owned()));
            }
        }
        names
    }

    const MODULE: &str = r#"(module
        (import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))
        (memory (export "memory") 1)
        (table 1 funcref)
        (elem (i32.const 0) $headers)
        (global $stack (mut i32) (i32.const 16))
        (func (export "_initialize"))
        (func (export "malloc") (param i32) (result i32) i32.const 32)
        (func (export "proxy_abi_version_0_2_1"))
        (func $headers (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
            (call $log (i32.const 0) (i32.const 0) (i32.const 4)))
        (func (export "proxy_on_request_trailers") (param i32 i32) (result i32) global.get $stack)
        (func (export "proxy_on_response_body") (param i32 i32 i32) (result i32) i32.const 0)
        (data (i32.const 0) "text"))"#;
}
