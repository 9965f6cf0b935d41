// Each file of ops ends in the examples of its ops (registry.hpp), under a function that is declared and listed here.
#pragma once

#include <array>
#include <string>
#include <utility>
#include <vector>

#include "slopewise/program/registry.hpp"

namespace slopewise {

std::vector<OpEntry> activations_examples();
std::vector<OpEntry> arithmetic_examples();
std::vector<OpEntry> attention_examples();
std::vector<OpEntry> choice_examples();
std::vector<OpEntry> conv_examples();
std::vector<OpEntry> conv_transpose_examples();
std::vector<OpEntry> dropout_examples();
std::vector<OpEntry> embedding_examples();
std::vector<OpEntry> functions_examples();
std::vector<OpEntry> layout_examples();
std::vector<OpEntry> linear_examples();
std::vector<OpEntry> losses_examples();
std::vector<OpEntry> matmul_examples();
std::vector<OpEntry> normalize_examples();
std::vector<OpEntry> pool_examples();
std::vector<OpEntry> rearrange_examples();
std::vector<OpEntry> rectifiers_examples();
std::vector<OpEntry> recurrent_examples();
std::vector<OpEntry> reduce_examples();
std::vector<OpEntry> reduce_rows_examples();
std::vector<OpEntry> resize_examples();
std::vector<OpEntry> rope_examples();
std::vector<OpEntry> scale_shift_examples();
std::vector<OpEntry> softmax_examples();
std::vector<OpEntry> trigonometry_examples();

inline constexpr std::array kBuiltInExamples = {
    linear_examples,    matmul_examples,       conv_examples,      conv_transpose_examples, attention_examples,
    embedding_examples, arithmetic_examples,   choice_examples,    activations_examples,    rectifiers_examples,
    functions_examples, trigonometry_examples, dropout_examples,   softmax_examples,        losses_examples,
    normalize_examples, scale_shift_examples,  recurrent_examples, resize_examples,         rope_examples,
    reduce_examples,    reduce_rows_examples,  pool_examples,      layout_examples,         rearrange_examples};

// The examples of an op that acts entry by entry.
inline OpEntry elementwise_examples(std::string name, Node (*function)(const Node&), double low = -2, double high = 2) {
  return {std::move(name),
          {{.description = "vector", .input = {7}, .build = function, .low = low, .high = high},
           {.description = "longer than one piece", .input = {3, 211}, .build = function, .low = low, .high = high},
           {.description = "empty", .input = {0}, .build = function, .low = low, .high = high},
           {.description = "scalar", .input = {}, .build = function, .low = low, .high = high}}};
}

// A new parameter beside `like`: what all examples share.
inline Node shared(const Node& like, std::string name, Shape shape, Index rows) {
  return Builder(like).parameter(std::move(name), std::move(shape), {}, rows);
}

}  // namespace slopewise
