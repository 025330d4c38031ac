#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| rocketmq_client_core::driver::compress::fuzz_inflate(bytes));
