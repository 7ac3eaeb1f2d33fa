//! What every instance begins with, made when the component is built.
//!
//! `portcullis preinitialise` calls this once and writes the memory that it leaves into the `.wasm`: no request pays for
//! loading the model.
#![expect(unsafe_code, reason = "the bindings export a function by its bare name")]

use crate::component::SERVICE;
use crate::service::Service;

mod bindings {
    #![allow(missing_docs, unreachable_pub, reason = "generated code")]

    spin_sdk::wit_bindgen::generate!({
        inline: r#"
            package portcullis:function@0.1.0;

            interface prepare {
                /// Makes ready what every instance begins with. Called once, when the component is built.
                prepare: func();
            }

            world prepared {
                export prepare;
            }
        "#,
        runtime_path: "spin_sdk::wit_bindgen::rt",
    });
}

struct Prepared;

impl bindings::exports::portcullis::function::prepare::Guest for Prepared {
    /// Loads the model and lets it answer once, so that what is made at its first use is made too. No environment is
    /// read and nothing is printed: either would be frozen with the rest.
    fn prepare() {
        SERVICE.get_or_init(Service::new).warm_up();
    }
}

bindings::export!(Prepared with_types_in bindings);
