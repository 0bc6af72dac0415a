//! Security contexts that nobody wrote.

use serde_json::{Map, Value, json};

use crate::seeded::Numbers;

/// A pod with what a security context can say, at random.
pub(crate) fn pod(name: &str, numbers: &mut Numbers) -> Value {
    let (mut spec, mut context, mut of_pod) = (Map::new(), Map::new(), Map::new());
    let mut put = |map: &mut Map<String, Value>, of_ten: u64, field: &str, value: Value| {
        if numbers.below(10) < of_ten {
            map.insert(field.to_owned(), value);
            true
        } else {
            false
        }
    };
    let own = put(&mut spec, 5, "hostUsers", json!(false));
    put(&mut context, if own { 6 } else { 1 }, "procMount", json!("Unmasked"));
    put(&mut context, 4, "runAsUser", json!(10001));
    put(&mut of_pod, 2, "runAsNonRoot", json!(true));
    put(&mut of_pod, 2, "seccompProfile", json!({ "type": "RuntimeDefault" }));
    put(&mut context, 2, "seccompProfile", json!({ "type": "Unconfined" }));
    put(&mut context, 2, "readOnlyRootFilesystem", json!(true));
    let mut capabilities = Map::new();
    // one of each at most
    let _dropped = put(&mut capabilities, 1, "drop", json!(["ALL"]))
        || put(&mut capabilities, 2, "drop", json!(["SETFCAP", "NET_RAW"]));
    let _added = put(&mut capabilities, 2, "add", json!(["SETFCAP"]))
        || put(&mut capabilities, 1, "add", json!(["SYS_ADMIN"]))
        || put(&mut capabilities, 1, "add", json!(["NET_ADMIN", "SYS_PTRACE"]));
    // the API server refuses one together with the other
    if capabilities.get("add") != Some(&json!(["SYS_ADMIN"])) {
        put(&mut context, 3, "allowPrivilegeEscalation", json!(false));
    }
    if !capabilities.is_empty() {
        context.insert("capabilities".to_owned(), Value::Object(capabilities));
    }
    if !of_pod.is_empty() {
        spec.insert("securityContext".to_owned(), Value::Object(of_pod));
    }
    spec.insert("terminationGracePeriodSeconds".to_owned(), json!(0));
    spec.insert(
        "containers".to_owned(),
        json!([{
            "name": "test",
            "image": "localhost/executor:local",
            "command": ["/bin/sleep", "infinity"],
            "securityContext": context,
        }]),
    );
    json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": name }, "spec": spec })
}
