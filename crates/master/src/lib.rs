//! The master role: owns the namespace and decides where replicas live.
