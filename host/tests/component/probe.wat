;; A function that does what the first letter of the path says, and tells by the status:
;;
;;   /loop      loops for ever
;;   /trap      traps
;;   /nothing   returns without a response
;;   /memory    grows its memory by 512 MiB; 507 if that is refused
;;   /count     200 and the number of requests this instance has seen
;;   /variable  200 and the length of the variable `greeting`; 404 if it is not defined
;;   /          200
;;
;; The types are those of wasi:http/incoming-handler@0.2.0, as wit-component writes them.
(component
  (type $ty-wasi:http/types@0.2.0 (;0;)
    (instance
      (export (;0;) "incoming-request" (type (sub resource)))
      (export (;1;) "fields" (type (sub resource)))
      (export (;2;) "outgoing-response" (type (sub resource)))
      (export (;3;) "response-outparam" (type (sub resource)))
      (type (;4;) (option string))
      (type (;5;) (option u16))
      (type (;6;) (record (field "rcode" 4) (field "info-code" 5)))
      (export (;7;) "DNS-error-payload" (type (eq 6)))
      (type (;8;) (option u8))
      (type (;9;) (record (field "alert-id" 8) (field "alert-message" 4)))
      (export (;10;) "TLS-alert-received-payload" (type (eq 9)))
      (type (;11;) (option u32))
      (type (;12;) (record (field "field-name" 4) (field "field-size" 11)))
      (export (;13;) "field-size-payload" (type (eq 12)))
      (type (;14;) (option u64))
      (type (;15;) (option 13))
      (type (;16;) (variant (case "DNS-timeout") (case "DNS-error" 7) (case "destination-not-found") (case "destination-unavailable") (case "destination-IP-prohibited") (case "destination-IP-unroutable") (case "connection-refused") (case "connection-terminated") (case "connection-timeout") (case "connection-read-timeout") (case "connection-write-timeout") (case "connection-limit-reached") (case "TLS-protocol-error") (case "TLS-certificate-error") (case "TLS-alert-received" 10) (case "HTTP-request-denied") (case "HTTP-request-length-required") (case "HTTP-request-body-size" 14) (case "HTTP-request-method-invalid") (case "HTTP-request-URI-invalid") (case "HTTP-request-URI-too-long") (case "HTTP-request-header-section-size" 11) (case "HTTP-request-header-size" 15) (case "HTTP-request-trailer-section-size" 11) (case "HTTP-request-trailer-size" 13) (case "HTTP-response-incomplete") (case "HTTP-response-header-section-size" 11) (case "HTTP-response-header-size" 13) (case "HTTP-response-body-size" 14) (case "HTTP-response-trailer-section-size" 11) (case "HTTP-response-trailer-size" 13) (case "HTTP-response-transfer-coding" 4) (case "HTTP-response-content-coding" 4) (case "HTTP-response-timeout") (case "HTTP-upgrade-failed") (case "HTTP-protocol-error") (case "loop-detected") (case "configuration-error") (case "internal-error" 4)))
      (export (;17;) "error-code" (type (eq 16)))
      (type (;18;) (own 1))
      (type (;19;) (func (result 18)))
      (export (;0;) "[constructor]fields" (func (type 19)))
      (type (;20;) (borrow 0))
      (type (;21;) (func (param "self" 20) (result 4)))
      (export (;1;) "[method]incoming-request.path-with-query" (func (type 21)))
      (type (;22;) (own 2))
      (type (;23;) (func (param "headers" 18) (result 22)))
      (export (;2;) "[constructor]outgoing-response" (func (type 23)))
      (type (;24;) (borrow 2))
      (type (;25;) (result))
      (type (;26;) (func (param "self" 24) (param "status-code" u16) (result 25)))
      (export (;3;) "[method]outgoing-response.set-status-code" (func (type 26)))
      (type (;27;) (own 3))
      (type (;28;) (result 22 (error 17)))
      (type (;29;) (func (param "param" 27) (param "response" 28)))
      (export (;4;) "[static]response-outparam.set" (func (type 29)))
    )
  )
  (import "wasi:http/types@0.2.0" (instance $wasi:http/types@0.2.0 (;0;) (type $ty-wasi:http/types@0.2.0)))
  (type $ty-fermyon:spin/variables@2.0.0 (;1;)
    (instance
      (type (;0;) (variant (case "invalid-name" string) (case "undefined" string) (case "provider" string) (case "other" string)))
      (export (;1;) "error" (type (eq 0)))
      (type (;2;) (result string (error 1)))
      (type (;3;) (func (param "name" string) (result 2)))
      (export (;0;) "get" (func (type 3)))
    )
  )
  (import "fermyon:spin/variables@2.0.0" (instance $fermyon:spin/variables@2.0.0 (;1;) (type $ty-fermyon:spin/variables@2.0.0)))
  (core module $main (;0;)
    (type (;0;) (func (param i32 i32)))
    (type (;1;) (func (result i32)))
    (type (;2;) (func (param i32) (result i32)))
    (type (;3;) (func (param i32 i32) (result i32)))
    (type (;4;) (func (param i32 i32 i32 i32 i64 i32 i32 i32 i32)))
    (type (;5;) (func (param i32 i32 i32)))
    (type (;6;) (func (param i32 i32 i32 i32) (result i32)))
    (import "wasi:http/types@0.2.0" "[method]incoming-request.path-with-query" (func $path (;0;) (type 0)))
    (import "wasi:http/types@0.2.0" "[constructor]fields" (func $fields (;1;) (type 1)))
    (import "wasi:http/types@0.2.0" "[constructor]outgoing-response" (func $response (;2;) (type 2)))
    (import "wasi:http/types@0.2.0" "[method]outgoing-response.set-status-code" (func $set_status (;3;) (type 3)))
    (import "wasi:http/types@0.2.0" "[static]response-outparam.set" (func $answer (;4;) (type 4)))
    (import "fermyon:spin/variables@2.0.0" "get" (func $variable (;5;) (type 5)))
    (memory (;0;) 1)
    (global $next (;0;) (mut i32) i32.const 4096)
    (global $requests (;1;) (mut i32) i32.const 0)
    (export "memory" (memory 0))
    (export "cabi_realloc" (func 6))
    (export "wasi:http/incoming-handler@0.2.0#handle" (func 8))
    (func (;6;) (type 6) (param i32 i32 i32) (param $size i32) (result i32)
      (local $at i32)
      global.get $next
      i32.const 7
      i32.add
      i32.const -8
      i32.and
      local.set $at
      local.get $at
      local.get $size
      i32.add
      global.set $next
      local.get $at
    )
    (func $is (;7;) (type 2) (param $letter i32) (result i32)
      local.get $letter
      i32.const 20
      i32.load
      i32.load8_u offset=1
      i32.eq
    )
    (func (;8;) (type 0) (param $request i32) (param $out i32)
      (local $status i32) (local $response i32)
      global.get $requests
      i32.const 1
      i32.add
      global.set $requests
      i32.const 200
      local.set $status
      local.get $request
      i32.const 16
      call $path
      i32.const 108
      call $is
      if ;; label = @1
        loop $forever
          br $forever
        end
      end
      i32.const 116
      call $is
      if ;; label = @1
        unreachable
      end
      i32.const 110
      call $is
      if ;; label = @1
        return
      end
      i32.const 109
      call $is
      if ;; label = @1
        i32.const 8192
        memory.grow
        i32.const -1
        i32.eq
        if ;; label = @2
          i32.const 507
          local.set $status
        end
      end
      i32.const 99
      call $is
      if ;; label = @1
        i32.const 200
        global.get $requests
        i32.add
        local.set $status
      end
      i32.const 118
      call $is
      if ;; label = @1
        i32.const 256
        i32.const 8
        i32.const 32
        call $variable
        i32.const 404
        i32.const 200
        i32.const 40
        i32.load
        i32.add
        i32.const 32
        i32.load8_u
        select
        local.set $status
      end
      call $fields
      call $response
      local.set $response
      local.get $response
      local.get $status
      call $set_status
      drop
      local.get $out
      i32.const 0
      local.get $response
      i32.const 0
      i64.const 0
      i32.const 0
      i32.const 0
      i32.const 0
      i32.const 0
      call $answer
    )
    (data (;0;) (i32.const 256) "greeting")
  )
  (core module $wit-component-shim-module (;1;)
    (type (;0;) (func (param i32 i32)))
    (type (;1;) (func (param i32 i32 i32 i32 i64 i32 i32 i32 i32)))
    (type (;2;) (func (param i32 i32 i32)))
    (table (;0;) 3 3 funcref)
    (export "0" (func 0))
    (export "1" (func 1))
    (export "2" (func 2))
    (export "$imports" (table 0))
    (func (;0;) (type 0) (param i32 i32)
      local.get 0
      local.get 1
      i32.const 0
      call_indirect (type 0)
    )
    (func (;1;) (type 1) (param i32 i32 i32 i32 i64 i32 i32 i32 i32)
      local.get 0
      local.get 1
      local.get 2
      local.get 3
      local.get 4
      local.get 5
      local.get 6
      local.get 7
      local.get 8
      i32.const 1
      call_indirect (type 1)
    )
    (func (;2;) (type 2) (param i32 i32 i32)
      local.get 0
      local.get 1
      local.get 2
      i32.const 2
      call_indirect (type 2)
    )
  )
  (core module $wit-component-fixup (;2;)
    (type (;0;) (func (param i32 i32)))
    (type (;1;) (func (param i32 i32 i32 i32 i64 i32 i32 i32 i32)))
    (type (;2;) (func (param i32 i32 i32)))
    (import "" "0" (func (;0;) (type 0)))
    (import "" "1" (func (;1;) (type 1)))
    (import "" "2" (func (;2;) (type 2)))
    (import "" "$imports" (table (;0;) 3 3 funcref))
    (elem (;0;) (i32.const 0) func 0 1 2)
  )
  (core instance $wit-component-shim-instance (;0;) (instantiate $wit-component-shim-module))
  (alias export $wasi:http/types@0.2.0 "incoming-request" (type $incoming-request (;2;)))
  (alias export $wasi:http/types@0.2.0 "response-outparam" (type $response-outparam (;3;)))
  (alias core export $wit-component-shim-instance "0" (core func $"indirect-wasi:http/types@0.2.0-[method]incoming-request.path-with-query" (;0;)))
  (alias export $wasi:http/types@0.2.0 "[constructor]fields" (func $"[constructor]fields" (;0;)))
  (core func $"[constructor]fields" (;1;) (canon lower (func $"[constructor]fields")))
  (alias export $wasi:http/types@0.2.0 "[constructor]outgoing-response" (func $"[constructor]outgoing-response" (;1;)))
  (core func $"[constructor]outgoing-response" (;2;) (canon lower (func $"[constructor]outgoing-response")))
  (alias export $wasi:http/types@0.2.0 "[method]outgoing-response.set-status-code" (func $"[method]outgoing-response.set-status-code" (;2;)))
  (core func $"[method]outgoing-response.set-status-code" (;3;) (canon lower (func $"[method]outgoing-response.set-status-code")))
  (alias core export $wit-component-shim-instance "1" (core func $"indirect-wasi:http/types@0.2.0-[static]response-outparam.set" (;4;)))
  (core instance $wasi:http/types@0.2.0 (;1;)
    (export "[method]incoming-request.path-with-query" (func $"indirect-wasi:http/types@0.2.0-[method]incoming-request.path-with-query"))
    (export "[constructor]fields" (func $"[constructor]fields"))
    (export "[constructor]outgoing-response" (func $"[constructor]outgoing-response"))
    (export "[method]outgoing-response.set-status-code" (func $"[method]outgoing-response.set-status-code"))
    (export "[static]response-outparam.set" (func $"indirect-wasi:http/types@0.2.0-[static]response-outparam.set"))
  )
  (alias core export $wit-component-shim-instance "2" (core func $indirect-fermyon:spin/variables@2.0.0-get (;5;)))
  (core instance $fermyon:spin/variables@2.0.0 (;2;)
    (export "get" (func $indirect-fermyon:spin/variables@2.0.0-get))
  )
  (core instance $main (;3;) (instantiate $main
      (with "wasi:http/types@0.2.0" (instance $wasi:http/types@0.2.0))
      (with "fermyon:spin/variables@2.0.0" (instance $fermyon:spin/variables@2.0.0))
    )
  )
  (alias core export $main "memory" (core memory $memory (;0;)))
  (alias core export $wit-component-shim-instance "$imports" (core table $"shim table" (;0;)))
  (alias export $wasi:http/types@0.2.0 "[method]incoming-request.path-with-query" (func $"[method]incoming-request.path-with-query" (;3;)))
  (alias core export $main "cabi_realloc" (core func $realloc (;6;)))
  (core func $"#core-func7 indirect-wasi:http/types@0.2.0-[method]incoming-request.path-with-query" (@name "indirect-wasi:http/types@0.2.0-[method]incoming-request.path-with-query") (;7;) (canon lower (func $"[method]incoming-request.path-with-query") (memory $memory) (realloc $realloc) string-encoding=utf8))
  (alias export $wasi:http/types@0.2.0 "[static]response-outparam.set" (func $"[static]response-outparam.set" (;4;)))
  (core func $"#core-func8 indirect-wasi:http/types@0.2.0-[static]response-outparam.set" (@name "indirect-wasi:http/types@0.2.0-[static]response-outparam.set") (;8;) (canon lower (func $"[static]response-outparam.set") (memory $memory) string-encoding=utf8))
  (alias export $fermyon:spin/variables@2.0.0 "get" (func $get (;5;)))
  (core func $"#core-func9 indirect-fermyon:spin/variables@2.0.0-get" (@name "indirect-fermyon:spin/variables@2.0.0-get") (;9;) (canon lower (func $get) (memory $memory) (realloc $realloc) string-encoding=utf8))
  (core instance $fixup-args (;4;)
    (export "$imports" (table $"shim table"))
    (export "0" (func $"#core-func7 indirect-wasi:http/types@0.2.0-[method]incoming-request.path-with-query"))
    (export "1" (func $"#core-func8 indirect-wasi:http/types@0.2.0-[static]response-outparam.set"))
    (export "2" (func $"#core-func9 indirect-fermyon:spin/variables@2.0.0-get"))
  )
  (core instance $fixup (;5;) (instantiate $wit-component-fixup
      (with "" (instance $fixup-args))
    )
  )
  (type (;4;) (own $incoming-request))
  (type (;5;) (own $response-outparam))
  (type (;6;) (func (param "request" 4) (param "response-out" 5)))
  (alias core export $main "wasi:http/incoming-handler@0.2.0#handle" (core func $wasi:http/incoming-handler@0.2.0#handle (;10;)))
  (func $handle (;6;) (type 6) (canon lift (core func $wasi:http/incoming-handler@0.2.0#handle)))
  (component $wasi:http/incoming-handler@0.2.0-shim-component (;0;)
    (import "import-type-incoming-request" (type (;0;) (sub resource)))
    (import "import-type-response-outparam" (type (;1;) (sub resource)))
    (import "import-type-incoming-request0" (type (;2;) (eq 0)))
    (type (;3;) (own 2))
    (import "import-type-response-outparam0" (type (;4;) (eq 1)))
    (type (;5;) (own 4))
    (type (;6;) (func (param "request" 3) (param "response-out" 5)))
    (import "import-func-handle" (func (;0;) (type 6)))
    (export (;7;) "incoming-request" (type 0))
    (export (;8;) "response-outparam" (type 1))
    (type (;9;) (own 7))
    (type (;10;) (own 8))
    (type (;11;) (func (param "request" 9) (param "response-out" 10)))
    (export (;1;) "handle" (func 0) (func (type 11)))
  )
  (instance $wasi:http/incoming-handler@0.2.0-shim-instance (;2;) (instantiate $wasi:http/incoming-handler@0.2.0-shim-component
      (with "import-func-handle" (func $handle))
      (with "import-type-incoming-request" (type $incoming-request))
      (with "import-type-response-outparam" (type $response-outparam))
      (with "import-type-incoming-request0" (type $incoming-request))
      (with "import-type-response-outparam0" (type $response-outparam))
    )
  )
  (export $wasi:http/incoming-handler@0.2.0 (;3;) "wasi:http/incoming-handler@0.2.0" (instance $wasi:http/incoming-handler@0.2.0-shim-instance))
)
