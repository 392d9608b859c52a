//! Generates the client from the OpenAPI document.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    client_generator::generate("../../specs/orchestrator.json")
}
