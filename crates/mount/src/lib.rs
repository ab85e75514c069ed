//! fuser callbacks to the client; errno and mount(8) conventions.
