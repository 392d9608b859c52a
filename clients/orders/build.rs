//! Writes the client from the document.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    client_generator::generate("../../specs/orders.json")
}
