// What shared_library_test.cpp opens.
extern "C" int switchyard_test_answer() { return 42; }
