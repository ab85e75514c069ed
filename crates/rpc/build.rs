//! Generates the tonic services of `proto/services.proto`; their messages are `codec::proto`'s.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = "../../proto";
    println!("cargo::rerun-if-changed={root}");
    let descriptors = protox::compile([format!("{root}/services.proto")], [root])?;
    tonic_prost_build::configure().extern_path(".muskox.v1", "::codec::proto").compile_fds(descriptors)?;
    Ok(())
}
