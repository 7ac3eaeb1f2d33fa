//! What the screens of texts find in corpora of attacks and of ordinary text. The corpora are not part of the
//! project: these tests run where `PORTCULLIS_CORPORA` names their folder, and say so where they do not.

mod arguments;
