// Environments as launchers and batch systems leave them.
#include "comm/launch_check.hpp"

#include <gtest/gtest.h>

#include <map>
#include <string>

#include "base/error.hpp"

namespace switchyard::comm {
namespace {

using Variables = std::map<std::string, const char*>;

EnvironmentLookup lookup(const Variables& variables) {
  return [&variables](const char* name) {
    const auto found = variables.find(name);
    return found == variables.end() ? nullptr : found->second;
  };
}

std::string refusal(int world_size, const Variables& variables) {
  try {
    check_world_size(world_size, lookup(variables));
    return "";
  } catch (const ConfigError& error) {
    return error.what();
  }
}

const Variables plain;
const Variables inside_sbatch{{"SLURM_JOB_ID", "200505"}, {"SLURM_NTASKS", "4"},  {"SLURM_NPROCS", "4"},
                              {"SLURM_PROCID", "0"},      {"SLURM_LOCALID", "0"}, {"SLURM_NNODES", "4"}};
const Variables inside_salloc_step{{"SLURM_NTASKS", "4"},
                                   {"SLURM_PROCID", "0"},
                                   {"SLURM_STEP_NUM_TASKS", "1"},
                                   {"SLURM_STEP_ID", "4294967290"}};
const Variables mpirun_rank_2{{"OMPI_COMM_WORLD_SIZE", "4"}, {"OMPI_COMM_WORLD_RANK", "2"}, {"PMIX_RANK", "2"}};
const Variables srun_without_pmi{{"SLURM_NTASKS", "3"}, {"SLURM_STEP_NUM_TASKS", "3"}, {"SLURM_PROCID", "1"}};

TEST(LaunchCheck, a_plain_run_needs_no_mpi) {
  EXPECT_FALSE(find_launch(lookup(plain)));
  EXPECT_EQ(refusal(1, plain), "");
}

TEST(LaunchCheck, a_plain_run_inside_a_batch_job_was_not_launched) {
  EXPECT_FALSE(find_launch(lookup(inside_sbatch)));
  EXPECT_EQ(refusal(1, inside_sbatch), "");
  EXPECT_FALSE(find_launch(lookup(inside_salloc_step)));
  EXPECT_EQ(refusal(1, inside_salloc_step), "");
}

TEST(LaunchCheck, mpirun_is_recognised_and_its_size_believed) {
  const auto launch = find_launch(lookup(mpirun_rank_2));
  ASSERT_TRUE(launch);
  EXPECT_EQ(launch->processes, 4);
  EXPECT_EQ(launch->process, 2);
  EXPECT_EQ(refusal(4, mpirun_rank_2), "");
}

TEST(LaunchCheck, a_world_of_one_under_mpirun_of_another_library_is_refused) {
  EXPECT_NE(refusal(1, mpirun_rank_2).find("mpirun started 4 processes but each sees only itself"),
            std::string::npos);
  const Variables hydra{{"PMI_SIZE", "8"}, {"PMI_RANK", "7"}};
  EXPECT_NE(refusal(1, hydra).find("started 8 processes"), std::string::npos);
}

TEST(LaunchCheck, srun_without_pmi_is_refused_and_told_the_option) {
  EXPECT_TRUE(find_launch(lookup(srun_without_pmi)));
  const std::string message = refusal(1, srun_without_pmi);
  EXPECT_NE(message.find("srun started 3 processes"), std::string::npos) << message;
  EXPECT_NE(message.find("--mpi=pmix"), std::string::npos) << message;
  EXPECT_EQ(find_launch(lookup(srun_without_pmi))->process, 1);
  EXPECT_EQ(refusal(3, srun_without_pmi), "");
}

TEST(LaunchCheck, one_task_of_srun_is_fine_with_and_without_pmix) {
  Variables one{{"SLURM_NTASKS", "1"}, {"SLURM_STEP_NUM_TASKS", "1"}, {"SLURM_PROCID", "0"}};
  EXPECT_FALSE(find_launch(lookup(one)));
  one.insert_or_assign("PMIX_RANK", "0");
  EXPECT_TRUE(find_launch(lookup(one)));
  EXPECT_EQ(refusal(1, one), "");
}

TEST(LaunchCheck, mpirun_inside_a_slurm_job_wins_over_the_daemons_srun) {
  Variables both = mpirun_rank_2;
  both.insert_or_assign("SLURM_STEP_NUM_TASKS", "2");  // of the two daemons
  both.insert_or_assign("SLURM_PROCID", "0");
  EXPECT_EQ(find_launch(lookup(both))->processes, 4);
  both.insert_or_assign("OMPI_COMM_WORLD_SIZE", "1");
  EXPECT_EQ(refusal(1, both), "");
}

TEST(LaunchCheck, a_pmix_rank_proves_that_many_processes) {
  EXPECT_EQ(refusal(1, {{"PMIX_RANK", "0"}}), "");
  EXPECT_NE(refusal(1, {{"PMIX_RANK", "2"}}).find("at least 3 processes"), std::string::npos);
}

TEST(LaunchCheck, what_is_no_number_is_not_believed) {
  EXPECT_FALSE(find_launch(lookup({{"OMPI_COMM_WORLD_SIZE", ""}, {"PMI_SIZE", "four"}, {"PMIX_RANK", "-1"}})));
}

}  // namespace
}  // namespace switchyard::comm
