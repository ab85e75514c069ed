//! The chunkserver role: serves the disks of one host.
