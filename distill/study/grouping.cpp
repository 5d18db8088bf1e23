#include "distill/study/grouping.h"

#include <algorithm>
#include <compare>
#include <map>
#include <set>
#include <tuple>

#include "distill/methods/registry.h"
#include "distill/settings/setting_keys.h"
#include "engine/base/check.h"

namespace retort {

namespace {

std::string data_identity(const FoundRun& run) {
  return run.data_hash.empty() ? run.settings.data.spec
                               : kind_of_data(run.settings.data.spec) + ":" + run.data_hash;
}

std::string teacher_identity(const FoundRun& run) {
  if (!run.settings.method.method().reads.teacher) return "";
  return run.teacher_hash.empty() ? "at " + run.settings.teacher : run.teacher_hash;
}

// The training of taught and lone students alike.
KeysAndTexts training_of(const RunSettings& settings) {
  KeysAndTexts keys = training_keys(settings);
  std::erase_if(keys, [](const auto& key) { return key.first.starts_with("teacher"); });
  return keys;
}

struct PairKey {
  std::string data, student, teacher;
  auto operator<=>(const PairKey&) const = default;
};

struct Row {
  std::vector<const FoundRun*> runs;
  const FoundRun& first() const { return *runs.front(); }
  size_t order() const { return first().order; }
};

// Rows of one training in one pair.
struct Group {
  PairKey key;
  KeysAndTexts training;
  std::vector<Row> rows;
  std::vector<Row> guests;  // of another training

  const RunSettings& settings() const {
    for (const Row& row : rows) {
      if (row.first().settings.method.method().name == "kd") return row.first().settings;
    }
    return rows.front().first().settings;
  }
  bool has_kd() const {
    return std::any_of(rows.begin(), rows.end(),
                       [](const Row& row) { return row.first().settings.method.method().name == "kd"; });
  }
  size_t order() const {
    size_t least = size_t(-1);
    for (const Row& row : rows) least = std::min(least, row.order());
    return least;
  }
};

// Of a row's runs the one whose names are taken: first in its study.
void order_runs(Row& row) {
  std::stable_sort(row.runs.begin(), row.runs.end(), [](const FoundRun* a, const FoundRun* b) {
    return std::tie(a->order, a->run.seed, a->run.folder) < std::tie(b->order, b->run.seed, b->run.folder);
  });
}

std::vector<Group> groups_of(const std::vector<FoundRun>& runs) {
  std::map<std::tuple<PairKey, KeysAndTexts, KeysAndTexts, KeysAndTexts>, Row> rows;
  for (const FoundRun& run : runs) {
    const PairKey key{data_identity(run), run.settings.model, teacher_identity(run)};
    rows[{key, training_of(run.settings), method_keys(run.settings), training_keys(run.settings)}]
        .runs.push_back(&run);
  }
  std::map<std::pair<PairKey, KeysAndTexts>, Group> groups;
  for (auto& [key, row] : rows) {
    order_runs(row);
    Group& group = groups[{std::get<0>(key), std::get<1>(key)}];
    group.key = std::get<0>(key);
    group.training = std::get<1>(key);
    group.rows.push_back(row);
  }
  std::vector<Group> all;
  for (auto& [key, group] : groups) all.push_back(std::move(group));
  return all;
}

// The one whose training is nearest, of those that may take the group in.
Group* nearest_group(std::vector<Group>& hosts, const Group& guest) {
  Group* best = nullptr;
  size_t least = size_t(-1);
  for (Group& host : hosts) {
    const bool fits = host.key.data == guest.key.data && host.key.student == guest.key.student &&
                      (guest.key.teacher.empty() || guest.key.teacher == host.key.teacher);
    const size_t away = fits ? distance(guest.settings(), host.settings()) : size_t(-1);
    if (away < least) least = away, best = &host;
  }
  return best;
}

// Groups that are tables of their own, the others as guests in them.
std::vector<Group> tables_of(const std::vector<Group>& all) {
  std::vector<Group> tables;
  std::set<PairKey> with_kd;
  for (const Group& group : all) {
    if (group.has_kd()) with_kd.insert(group.key);
  }
  std::vector<const Group*> guests, lone;
  for (const Group& group : all) {
    if (group.key.teacher.empty())
      lone.push_back(&group);
    else if (with_kd.contains(group.key) && !group.has_kd())
      guests.push_back(&group);
    else
      tables.push_back(group);
  }
  for (const Group* guest : guests) {
    Group& host = *nearest_group(tables, *guest);
    host.guests.insert(host.guests.end(), guest->rows.begin(), guest->rows.end());
  }
  std::vector<Group> own;
  for (const Group* group : lone) {
    bool placed = false;
    for (Group& table : tables) {
      if (table.key.data != group->key.data || table.key.student != group->key.student ||
          table.training != group->training)
        continue;
      table.rows.insert(table.rows.end(), group->rows.begin(), group->rows.end());
      placed = true;
    }
    if (placed) continue;
    if (Group* host = nearest_group(tables, *group))
      host->guests.insert(host->guests.end(), group->rows.begin(), group->rows.end());
    else
      own.push_back(*group);
  }
  tables.insert(tables.end(), own.begin(), own.end());
  return tables;
}

// In the order of their study; then of the methods, plain ones first.
void order_rows(std::vector<Row>& rows) {
  const auto rank = [](const Row& row) {
    const RunSettings& settings = row.first().settings;
    const auto& known = methods();
    const auto at = std::find_if(known.begin(), known.end(), [&](const MethodInfo& info) {
      return info.name == settings.method.method().name;
    });
    return std::make_tuple(row.order(), at - known.begin(), keys_set(settings), method_keys(settings),
                           training_keys(settings));
  };
  std::stable_sort(rows.begin(), rows.end(), [&](const Row& a, const Row& b) { return rank(a) < rank(b); });
}

ResultRow result_row(const Row& row) {
  const FoundRun& first = row.first();
  ResultRow result{.label = first.label.empty() ? method_label(first.settings) : first.label,
                   .method = first.settings.method.method().name,
                   .settings = first.settings};
  for (const FoundRun* run : row.runs) result.runs.push_back(run->run);
  settle(result);
  return result;
}

void name_uniquely(ResultPair& pair, ResultRow& row) {
  const std::string plain = row.label;
  const auto taken = [&] {
    return std::any_of(pair.rows.begin(), pair.rows.end(),
                       [&](const ResultRow& other) { return other.label == row.label; });
  };
  if (taken() && row.settings) row.label = method_label(*row.settings);
  if (taken() && row.settings && row.apart.empty()) row.label = plain + " (set otherwise)";
  for (int count = 2; taken(); ++count) row.label = text(plain, " (", count, ")");
}

ResultPair result_pair(Group& group) {
  order_rows(group.rows);
  order_rows(group.guests);
  ResultPair pair;
  pair.student = group.key.student;
  pair.data_hash = "";
  for (const Row& row : group.rows) {
    const FoundRun& run = row.first();
    if (pair.data.empty()) pair.data = run.settings.data.spec, pair.data_hash = run.data_hash;
    if (!run.settings.method.method().reads.teacher || !pair.teacher.empty()) continue;
    pair.teacher = run.settings.teacher_model;
    pair.teacher_hash = run.teacher_hash;
    pair.teacher_weights = run.teacher_weights;
  }
  pair.name = pair.teacher.empty() ? pair.student : pair.teacher + "-" + pair.student;
  std::set<std::string> names;  // that studies gave it
  for (const Row& row : group.rows) {
    if (row.first().settings.method.method().reads.teacher || group.key.teacher.empty())
      names.insert(row.first().pair);
  }
  if (names.size() == 1 && !names.begin()->empty()) pair.name = *names.begin();
  for (const Row& row : group.rows) {
    ResultRow result = result_row(row);
    name_uniquely(pair, result);
    pair.rows.push_back(std::move(result));
  }
  for (const Row& row : group.guests) {
    ResultRow result = result_row(row);
    const RunSettings& host = group.settings();
    result.apart = apart_by(*result.settings, host);
    result.label += ", " + own_words(*result.settings, host);
    name_uniquely(pair, result);
    pair.rows.push_back(std::move(result));
  }
  return pair;
}

// Tables of one name: what tells them apart becomes part of it.
void tell_apart(std::vector<ResultPair>& pairs) {
  const auto settings_of = [](const ResultPair& pair) -> const RunSettings& {
    return *pair.rows.front().settings;
  };
  std::map<std::string, std::vector<ResultPair*>> by_name;
  for (ResultPair& pair : pairs) by_name[pair.name].push_back(&pair);
  for (const auto& entry : by_name) {
    const std::string& name = entry.first;
    const std::vector<ResultPair*>& same = entry.second;
    if (same.size() < 2) continue;
    std::vector<std::string> suffixes(same.size());
    const auto differ = [&](auto value) {
      return std::any_of(same.begin(), same.end(),
                         [&](const ResultPair* pair) { return value(*pair) != value(*same.front()); });
    };
    const bool other_kind = differ([](const ResultPair& pair) { return pair.data_name(); });
    const bool other_data = differ([](const ResultPair& pair) { return pair.data_hash; });
    const bool other_teacher = differ([](const ResultPair& pair) { return pair.teacher_hash; });
    for (size_t i = 0; i < same.size(); ++i) {
      const ResultPair& pair = *same[i];
      const ResultPair& other = *same[i == 0 ? 1 : 0];
      std::string words = own_words(settings_of(pair), settings_of(other));
      if (other_kind)
        words += (words.empty() ? "" : ", ") + pair.data_name();
      else if (other_data)
        words += (words.empty() ? "data " : ", data ") + pair.data_hash.substr(0, 6);
      if (other_teacher)
        words += (words.empty() ? "teacher " : ", teacher ") + pair.teacher_hash.substr(0, 6);
      suffixes[i] = words;
    }
    for (size_t i = 0; i < same.size(); ++i) {
      same[i]->name = name + (suffixes[i].empty() ? "" : ", " + suffixes[i]);
      for (size_t j = 0; j < i; ++j) {
        if (same[j]->name == same[i]->name) same[i]->name += text(" (", i + 1, ")");
      }
    }
  }
}

}  // namespace

std::vector<ResultPair> group_runs(const std::vector<FoundRun>& runs) {
  std::vector<Group> tables = tables_of(groups_of(runs));
  std::stable_sort(tables.begin(), tables.end(),
                   [](const Group& a, const Group& b) { return a.order() < b.order(); });
  std::vector<ResultPair> pairs;
  for (Group& table : tables) pairs.push_back(result_pair(table));
  tell_apart(pairs);
  return pairs;
}

}  // namespace retort
